//! Faults: the server failed. A fault is opaque on the wire and logged once with the request's id.

use std::fmt;

use super::Refusal;

/// What can be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A defect of the server.
    Broken,
    /// Two transactions met; the body may run again.
    Conflict,
    /// The connection was lost before anything was committed.
    ConnectionLost,
    /// Another service was called and did not answer as it must.
    Remote,
    /// Something that the server needs is away or full; it may recover.
    Unavailable,
}

/// The server failed. Its text is for the log and never for the wire; no secret enters it.
#[derive(Clone)]
pub struct Fault {
    /// What was being done.
    pub context: &'static str,
    /// What went wrong.
    pub detail: String,
    /// What can be done about it.
    pub kind: FaultKind,
    /// The name of the write or read it happened in.
    pub during: Option<&'static str>,
}

impl Fault {
    /// A fault with its cause.
    pub fn new(context: &'static str, cause: impl fmt::Display) -> Fault {
        Fault::described(context, cause.to_string())
    }

    /// A fault with a sentence.
    pub fn described(context: &'static str, detail: String) -> Fault {
        Fault {
            context,
            detail,
            kind: FaultKind::Broken,
            during: None,
        }
    }

    /// The same fault, of another kind.
    pub fn with_kind(mut self, kind: FaultKind) -> Fault {
        self.kind = kind;
        self
    }

    /// The same fault, with the name of what it happened in; the innermost name stays.
    pub fn during(mut self, name: &'static str) -> Fault {
        self.during.get_or_insert(name);
        self
    }

    /// The same fault for another request that waited for the same commit.
    pub fn again(&self) -> Fault {
        self.clone()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.detail)?;
        match self.during {
            Some(name) => write!(f, " (during {name})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self})")
    }
}

impl std::error::Error for Fault {}

/// Why a request is not answered as asked.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The request is denied.
    Refused(Refusal),
    /// The server failed.
    Broken(Fault),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Broken(fault)
    }
}

//! The registry of a sandbox: the script values that the server needs again between turns.

use rquickjs::{Ctx, Object};

/// The objects that a sandbox needs later: `invoke`, `strict`, `module`, `outcome`, and the two resolving functions
/// of each host call. Scripts cannot access it.
pub(super) fn of<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let registry = ctx.userdata::<Object>().ok_or(rquickjs::Error::Unknown)?;
    Ok(registry.clone())
}

/// The registry's name of the function that resolves a host call.
pub(super) fn resolver(number: usize) -> String {
    format!("resolve {number}")
}

/// The registry's name of the function that rejects a host call.
pub(super) fn rejecter(number: usize) -> String {
    format!("reject {number}")
}

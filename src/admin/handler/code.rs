//! The code of a handler, as it is checked before it is saved: its name, the contract of a script, the hosts that it may
//! call, the URL and the secret of a webhook.

use std::sync::Arc;

use vestibule_protocol::secret::Secret;

use crate::app::handlers::script_name;
use crate::changes::Invalid;
use crate::handler::contract::Contract;
use crate::handler::script::{Program, ScriptEngine};
use crate::outbound::{check_allowed_host, check_url};
use crate::settings::HandlerChoice;

/// The reason when a script exports functions of several contracts and the request names none.
pub const SEVERAL_CONTRACTS: &str =
    "the script exports functions of several contracts: name one of them";

/// Longest name of a handler.
const NAME_LENGTH_MAX: usize = 80;

/// Most hosts that a version may call.
const HOSTS_MAX: usize = 20;

/// Shortest secret of a webhook, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// A script, and what messages call it: its file.
#[derive(Clone, Debug)]
pub struct ScriptSource {
    /// The name in messages.
    pub label: String,
    /// The text of the module.
    pub text: String,
}

/// The contract of a script: the one that was named, whose function it must export, or else the only one
/// whose function it does export.
///
/// # Errors
/// It exports no such function, or functions of several contracts.
pub fn contract_of(program: &Program, named: Option<Contract>) -> Result<Contract, Invalid> {
    if let Some(contract) = named {
        let word = contract.as_str();
        if program.exports(word) {
            return Ok(contract);
        }
        let reason = format!(
            "the script exports no function {word}: begin it with `export function {word}(`"
        );
        return Err(Invalid::new("contract", reason));
    }
    let exported = |contract: &Contract| program.exports(contract.as_str());
    let found: Vec<Contract> = Contract::ALL.into_iter().filter(exported).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Invalid::new(
            "contract",
            "the script exports none of createUser, discoverUser and sendOneTimePassword",
        )),
        _ => Err(Invalid::new("contract", SEVERAL_CONTRACTS)),
    }
}

/// Compiles a script.
///
/// # Errors
/// It does not compile; the reason begins with the script's label.
pub async fn compile(
    engine: &ScriptEngine,
    script: &ScriptSource,
) -> Result<Arc<Program>, Invalid> {
    let program = Program::compile(engine, &script.label, &script.text).await;
    program
        .map(Arc::new)
        .map_err(|problem| Invalid::new(&script.label, problem.to_string()))
}

/// Compiles the script of a version as the server does.
///
/// # Errors
/// As those of [`compile`].
pub async fn compile_version(
    engine: &ScriptEngine,
    name: &str,
    version: i64,
    source: String,
) -> Result<Arc<Program>, Invalid> {
    let script = ScriptSource {
        label: script_name(name, version),
        text: source,
    };
    compile(engine, &script).await
}

/// Refuses a name that a setting could not hold or a shell would split.
///
/// # Errors
/// The name has the wrong form, or is the name of the built-in handlers.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if HandlerChoice::is_reserved(name) {
        let reason = format!("{name:?} is the name of the built-in handlers");
        return Err(Invalid::new("name", reason));
    }
    if !starts_well || !name.chars().all(is_plain) || name.len() > NAME_LENGTH_MAX {
        let reason = format!(
            "{name:?}: a name begins with a letter and has letters, digits, _ and -, at most {NAME_LENGTH_MAX}"
        );
        return Err(Invalid::new("name", reason));
    }
    Ok(())
}

/// Brings a list of hosts into its form.
pub(super) fn checked_hosts(given: &[String]) -> Result<Vec<String>, Invalid> {
    if given.len() > HOSTS_MAX {
        return Err(Invalid::new(
            "allowedHosts",
            format!("at most {HOSTS_MAX} hosts"),
        ));
    }
    let mut hosts = Vec::with_capacity(given.len());
    for host in given {
        let host = check_allowed_host(host)
            .map_err(|why| Invalid::new("allowedHosts", format!("{host:?} {why}")))?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Brings the URL of a webhook into its form.
pub(super) fn checked_url(url: &str) -> Result<String, Invalid> {
    let checked = check_url(url).map_err(|why| Invalid::new("url", format!("{url:?} {why}")))?;
    Ok(checked.to_string())
}

pub(super) fn checked_secret(secret: Secret) -> Result<Secret, Invalid> {
    if secret.expose().len() < SECRET_BYTES_MIN {
        let reason = format!("the secret of a webhook has at least {SECRET_BYTES_MIN} bytes");
        return Err(Invalid::new("secret", reason));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word() {
        for good in ["welcome", "Order-Number_2", "a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "builtin", "2nd", "a b", "a/b", "ä", &"x".repeat(81)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_of_hosts_has_one_form() {
        let given = ["API.example.com", "*.example.org", "api.example.com"].map(str::to_owned);
        let hosts = checked_hosts(&given).unwrap();
        assert_eq!(hosts, ["api.example.com", "*.example.org"]);
        assert!(checked_hosts(&[String::from("https://api.example.com/x")]).is_err());
    }
}

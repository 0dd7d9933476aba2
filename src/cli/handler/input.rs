//! What handler commands are given: a script or a URL, hosts, a secret.

use std::path::Path;
use std::sync::Arc;

use vestibule_protocol::secret::Secret;

use crate::app::handlers::script_name;
use crate::cli::place::{Exit, Place, read_secret};
use crate::handler::contract::Contract;
use crate::handler::script::{Program, ScriptEngine};
use crate::outbound::{check_allowed_host, check_url};
use crate::settings::BUILT_IN;

/// Longest name of a handler.
const NAME_LENGTH_MAX: usize = 80;

/// Most hosts that a version may call.
const HOSTS_MAX: usize = 20;

/// Shortest secret of a webhook, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// Refuses a name that a setting could not hold or a shell would split.
pub fn check_name(name: &str) -> Result<(), Exit> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if name == BUILT_IN {
        return Err(Exit::refused(format!(
            "{name:?} is the name of the built-in handlers"
        )));
    }
    if !starts_well || !name.chars().all(is_plain) || name.len() > NAME_LENGTH_MAX {
        return Err(Exit::refused(format!(
            "{name:?}: a name begins with a letter and has letters, digits, _ and -, at most {NAME_LENGTH_MAX}"
        )));
    }
    Ok(())
}

/// Reads a script.
pub fn read_script(path: &Path) -> Result<String, Exit> {
    std::fs::read_to_string(path)
        .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))
}

/// The contract of a script: the one that was named, whose function it must export, or else the only one
/// whose function it does export.
pub fn contract_of(program: &Program, named: Option<Contract>) -> Result<Contract, Exit> {
    if let Some(contract) = named {
        return match program.exports(contract.as_str()) {
            true => Ok(contract),
            false => Err(Exit::refused(format!(
                "the script exports no function {0}: begin it with `export function {0}(`",
                contract.as_str()
            ))),
        };
    }
    let exported = |contract: &Contract| program.exports(contract.as_str());
    let found: Vec<Contract> = Contract::ALL.into_iter().filter(exported).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Exit::refused(
            "the script exports none of createUser, discoverUser and sendOneTimePassword",
        )),
        _ => Err(Exit::misused(
            "the script exports functions of several contracts: say which one with --contract",
        )),
    }
}

/// Brings a list of hosts into its form.
pub fn hosts(given: &[String]) -> Result<Vec<String>, Exit> {
    if given.len() > HOSTS_MAX {
        return Err(Exit::refused(format!("at most {HOSTS_MAX} hosts")));
    }
    let mut hosts = Vec::with_capacity(given.len());
    for host in given {
        let host = check_allowed_host(host)
            .map_err(|why| Exit::refused(format!("--allow-host {host:?} {why}")))?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Brings the URL of a webhook into its form.
pub fn webhook_url(url: &str) -> Result<String, Exit> {
    let url = check_url(url).map_err(|why| Exit::refused(format!("--webhook {url:?} {why}")))?;
    Ok(url.to_string())
}

/// The secret of a webhook from its file.
pub fn secret(path: &Path) -> Result<Secret, Exit> {
    let secret = read_secret(path)?;
    if secret.expose().len() < SECRET_BYTES_MIN {
        return Err(Exit::refused(format!(
            "the secret of a webhook has at least {SECRET_BYTES_MIN} bytes"
        )));
    }
    Ok(secret)
}

/// The engine of scripts, with the limits of the config.
pub fn engine(place: &Place) -> Result<ScriptEngine, Exit> {
    let config = place.load_config()?;
    Ok(ScriptEngine::new(config.handlers.script_limits())?)
}

/// Compiles a script, or says where it does not.
pub async fn compile(
    engine: &ScriptEngine,
    file: &str,
    source: &str,
) -> Result<Arc<Program>, Exit> {
    let program = Program::compile(engine, file, source).await;
    program
        .map(Arc::new)
        .map_err(|problem| Exit::refused(format!("{file}: {problem}")))
}

/// Compiles a version of a handler as the server will.
pub async fn compile_version(
    engine: &ScriptEngine,
    name: &str,
    version: i64,
    source: &str,
) -> Result<Arc<Program>, Exit> {
    compile(engine, &script_name(name, version), source).await
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
        assert_eq!(hosts(&given).unwrap(), ["api.example.com", "*.example.org"]);
        assert!(hosts(&[String::from("https://api.example.com/x")]).is_err());
    }
}

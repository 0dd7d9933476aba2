//! Files for the authors of handlers: templates, TypeScript declarations and JSON Schemas.
//!
//! They are text files beside this one. The tests here keep their members in step with the types of the contracts.

use super::contract::Contract;

/// The TypeScript declarations of all contracts and of the host.
pub const DECLARATIONS: &str = include_str!("assets/vestibule.d.ts");

/// The name of a contract's template on the command line, and the template.
pub fn template(contract: Contract) -> (&'static str, &'static str) {
    match contract {
        Contract::CreateUser => ("registration", include_str!("assets/registration.js")),
        Contract::DiscoverUser => ("discovery", include_str!("assets/discovery.js")),
        Contract::SendOneTimePassword => ("delivery", include_str!("assets/delivery.js")),
    }
}

/// The JSON Schema of a contract: its argument under `$defs/arguments`, its result under `$defs/result`.
pub fn schema(contract: Contract) -> &'static str {
    match contract {
        Contract::CreateUser => include_str!("assets/schema/createUser.json"),
        Contract::DiscoverUser => include_str!("assets/schema/discoverUser.json"),
        Contract::SendOneTimePassword => include_str!("assets/schema/sendOneTimePassword.json"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Value, json};

    use super::super::contract::{
        AccountDraft, CreateUserArguments, CreateUserResult, DiscoverUserArguments,
        DiscoverUserResult, SendOneTimePasswordArguments, UserData, VerificationAction,
    };
    use super::super::question::{SeenAccount, SeenUser, seen_identifier};
    use super::*;
    use crate::identity::text_message::SmsStatus;

    /// A value of every type with every member, under the names in the declarations and the schemas.
    fn samples() -> Vec<(&'static str, Contract, &'static str, Value)> {
        let data = UserData {
            last_name: "Edwards".into(),
            ..UserData::default()
        };
        let account = AccountDraft {
            name: "ACME".into(),
            create: true,
        };
        let create = CreateUserArguments {
            profile_id: "00e".into(),
            data: data.clone(),
            custom_user_data_map: None,
            experience_id: "0DB".into(),
            password: None,
        };
        let discover = DiscoverUserArguments {
            network_id: "0DB".into(),
            login_hint: "x".into(),
            verification_action: VerificationAction::Email,
            custom_data_json: None,
            request_attributes: BTreeMap::new(),
        };
        let send = SendOneTimePasswordArguments {
            user_id: None,
            phone_number: "+1".into(),
            one_time_password: "1".into(),
            default_text: "1".into(),
            network_id: "0DB".into(),
            experience_id: "0DB".into(),
        };
        let (user, id, otp) = (
            Contract::CreateUser,
            Contract::DiscoverUser,
            Contract::SendOneTimePassword,
        );
        vec![
            ("CreateUserArguments", user, "arguments", json!(create)),
            ("UserData", user, "userData", json!(data)),
            (
                "CreateUserResult",
                user,
                "result",
                json!(CreateUserResult {
                    account: Some(account.clone()),
                    ..CreateUserResult::default()
                }),
            ),
            ("AccountDraft", user, "accountDraft", json!(account)),
            ("DiscoverUserArguments", id, "arguments", json!(discover)),
            (
                "DiscoverUserResult",
                id,
                "result",
                json!(DiscoverUserResult::default()),
            ),
            (
                "SendOneTimePasswordArguments",
                otp,
                "arguments",
                json!(send),
            ),
        ]
    }

    fn names(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    /// The members of an interface of the declarations.
    fn declared(name: &str) -> BTreeSet<String> {
        let start = format!("interface {name} {{\n");
        let at = DECLARATIONS
            .find(&start)
            .unwrap_or_else(|| panic!("{name} is not declared"));
        let body = DECLARATIONS[at + start.len()..]
            .split("\n}")
            .next()
            .unwrap();
        body.lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("/*"))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim_end_matches('?').to_owned())
            .filter(|name| !name.contains('('))
            .collect()
    }

    #[test]
    fn the_declarations_and_the_schemas_have_the_members_of_the_types() {
        for (name, contract, part, sample) in samples() {
            assert_eq!(declared(name), names(&sample), "{name} in vestibule.d.ts");
            let schema: Value = serde_json::from_str(schema(contract)).unwrap();
            let described = &schema["$defs"][part];
            assert_eq!(
                names(&described["properties"]),
                names(&sample),
                "{name} in the schema"
            );
            assert_eq!(described["additionalProperties"], false, "{name}");
            for required in described["required"].as_array().into_iter().flatten() {
                assert!(
                    sample.get(required.as_str().unwrap()).is_some(),
                    "{name}: {required}"
                );
            }
        }
    }

    #[test]
    fn what_a_script_sees_is_declared() {
        let user = SeenUser::default();
        for (name, sample) in [
            ("SeenUser", user.to_json()),
            (
                "SeenAccount",
                json!(SeenAccount {
                    id: "001".into(),
                    name: "ACME".into()
                }),
            ),
            ("SeenIdentifier", seen_identifier("order", "1", &user)),
        ] {
            assert_eq!(declared(name), names(&sample), "{name}");
        }
    }

    #[test]
    fn the_words_of_the_delivery_handler_are_declared() {
        let schema: Value = serde_json::from_str(schema(Contract::SendOneTimePassword)).unwrap();
        let words = schema["$defs"]["result"]["enum"].as_array().unwrap();
        assert_eq!(words.len(), SmsStatus::ALL.len());
        for status in SmsStatus::ALL {
            assert!(words.contains(&json!(status.as_str())), "{status:?}");
            assert!(
                DECLARATIONS.contains(&format!("| \"{}\"", status.as_str())),
                "{status:?}"
            );
        }
    }

    #[test]
    fn a_template_exports_the_function_of_its_contract() {
        for contract in Contract::ALL {
            let (_, text) = template(contract);
            assert!(text.contains(&format!("export async function {}(", contract.as_str())));
        }
    }
}

//! The three contracts that customers' code implements, with the documented names.
//!
//! Arguments and results are the same JSON for a script and for a webhook, so that one can replace the other.
//! Source: HeadlessSelfRegistrationHandler Interface, Auth.UserData, HeadlessUserDiscoveryHandler Interface, and
//! the custom one-time password delivery handler.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HandlerError;
pub use crate::contract::Contract;
use crate::identity::Attributes;
use crate::identity::text_message::SmsStatus;

/// The maximum length of a wrong result in the operator's error message, in characters.
const DETAIL_LENGTH_MAX: usize = 1_000;

impl Contract {
    /// Checks that a result has the shape of the contract (threat HND-04).
    ///
    /// # Errors
    /// `NullPointerException` when there is no result, else `TypeException`; the result itself is in the detail.
    pub fn check(self, answer: Value) -> Result<Value, HandlerError> {
        if answer.is_null() {
            let message = format!("{} returned nothing", self.as_str());
            return Err(HandlerError::new("NullPointerException", message));
        }
        let problem = match self {
            // Serde would read an array member by member.
            Contract::CreateUser | Contract::DiscoverUser if !answer.is_object() => {
                Some(serde_json::Error::custom("not an object"))
            }
            Contract::CreateUser => CreateUserResult::deserialize(&answer).err(),
            Contract::DiscoverUser => DiscoverUserResult::deserialize(&answer).err(),
            Contract::SendOneTimePassword => {
                let known = answer.as_str().and_then(SmsStatus::parse);
                let words = || SmsStatus::ALL.map(SmsStatus::as_str).join(", ");
                let unknown = || serde_json::Error::custom(format!("none of {}", words()));
                known.is_none().then(unknown)
            }
        };
        let Some(problem) = problem else {
            return Ok(answer);
        };
        let message = format!("{} returned {}", self.as_str(), kind(&answer));
        let answer: String = answer.to_string().chars().take(DETAIL_LENGTH_MAX).collect();
        Err(HandlerError::new("TypeException", message).with_detail(format!("{problem}: {answer}")))
    }
}

/// The kind of an invalid result, without its values.
fn kind(answer: &Value) -> &'static str {
    match answer {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text that is no result",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object with a member that is unknown or of the wrong type",
    }
}

/// The argument of `createUser`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateUserArguments {
    /// Record id of the profile that the new user gets.
    pub profile_id: String,
    /// The registrant.
    pub data: UserData,
    /// `customdata` of the init request, as the text of a JSON object.
    pub custom_user_data_map: Option<String>,
    /// Record id of the site.
    pub experience_id: String,
    /// Always null: a handler never receives a password.
    pub password: Option<String>,
}

/// `Auth.UserData`: the registrant, as described in the init request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct UserData {
    /// Always absent: it is the user's id at a third party.
    pub identifier: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
    /// Both names.
    pub full_name: String,
    /// Email address.
    pub email: String,
    /// Always absent: it is a third party's page about the user.
    pub link: Option<String>,
    /// Username.
    pub username: String,
    /// Locale.
    pub locale: Option<String>,
    /// Always absent: it is a third-party identity provider.
    pub provider: Option<String>,
    /// The site's base URL.
    pub site_login_url: String,
    /// Members of `userdata` without a defined meaning, as text; also `phone`.
    pub attribute_map: BTreeMap<String, String>,
}

/// The result of `createUser`: an existing user, by `id` alone, or the data of a new one. Absent members have the
/// values of the request. No other member is allowed, so that no handler can grant a privilege.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CreateUserResult {
    /// An existing user, to which the registration is attached.
    pub id: Option<String>,
    /// The request's username, or absent.
    pub username: Option<String>,
    /// The request's address, or absent.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Phone number with its country code.
    pub phone: Option<String>,
    /// Language and region.
    pub locale: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// The profile of the argument, or absent.
    pub profile_id: Option<String>,
    /// Record id of an existing account.
    pub account_id: Option<String>,
    /// The account by name; a missing one is created if `create` is true.
    pub account: Option<AccountDraft>,
    /// Attributes.
    pub attributes: Attributes,
}

/// An account, identified by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AccountDraft {
    /// Its name.
    pub name: String,
    /// Whether a missing account is created.
    pub create: bool,
}

/// The argument of `discoverUser`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscoverUserArguments {
    /// Record id of the site.
    pub network_id: String,
    /// `login_hint`, as sent.
    pub login_hint: String,
    /// The channel that must be verified.
    pub verification_action: VerificationAction,
    /// `customdata` as the text of a JSON object.
    pub custom_data_json: Option<String>,
    /// `CommunityUrl`, `IpAddress`, `UserAgent`, `Platform`, `Application`, `City`, `Country`, `Subdivision`;
    /// unknown ones are absent.
    pub request_attributes: BTreeMap<String, String>,
}

/// `Auth.VerificationAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VerificationAction {
    /// By mail.
    Email,
    /// By text message.
    Sms,
}

/// `Auth.HeadlessUserDiscoveryResponse`: exactly one id is a success; none or several are a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DiscoverUserResult {
    /// Record ids of the users that were found.
    pub user_ids: Vec<String>,
    /// A message for the app, sent if the site's setting allows it.
    pub custom_error_message: Option<String>,
}

/// The argument of `sendOneTimePassword`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendOneTimePasswordArguments {
    /// Record id of the user, if the user exists already.
    pub user_id: Option<String>,
    /// The recipient's number, with the country code.
    pub phone_number: String,
    /// The one-time password.
    pub one_time_password: String,
    /// The text that the server would send; it contains the one-time password.
    pub default_text: String,
    /// Record id of the site.
    pub network_id: String,
    /// Record id of the site.
    pub experience_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_and_results_carry_the_documented_names() {
        let arguments = DiscoverUserArguments {
            network_id: "0DB000000000001AAA".into(),
            login_hint: "ORDER-1".into(),
            verification_action: VerificationAction::Sms,
            custom_data_json: None,
            request_attributes: BTreeMap::from([("IpAddress".into(), "192.0.2.1".into())]),
        };
        assert_eq!(
            serde_json::to_value(&arguments).unwrap(),
            json!({"networkId": "0DB000000000001AAA", "loginHint": "ORDER-1",
                "verificationAction": "SMS", "customDataJson": null,
                "requestAttributes": {"IpAddress": "192.0.2.1"}})
        );
        let found: DiscoverUserResult =
            serde_json::from_value(json!({"userIds": ["005"]})).unwrap();
        assert_eq!(
            (found.user_ids.len(), found.custom_error_message),
            (1, None)
        );
    }

    #[test]
    fn hnd_09_a_member_that_no_contract_has_is_refused() {
        for extra in [
            "isActive",
            "emailVerified",
            "sub",
            "__proto__",
            "isIntegration",
        ] {
            let result = json!({ "lastName": "Edwards", extra: true });
            assert!(
                serde_json::from_value::<CreateUserResult>(result).is_err(),
                "{extra}"
            );
        }
    }

    #[test]
    fn a_contract_reads_back_from_its_word() {
        for contract in Contract::ALL {
            assert_eq!(Contract::parse(contract.as_str()), Some(contract));
        }
    }
}

//! Text messages of a site that has a delivery handler of its own: the handler is asked in place of the gateway.
//!
//! What it answers is one of the documented words, and comes to what it comes to at a gateway. A handler that fails has
//! not sent, as far as anybody knows: the message is tried again until its code ends, and never goes another way.
//!
//! Source: the custom one-time password delivery handler, `sendOneTimePassword`.

use std::sync::Arc;

use serde_json::Value;
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::secret::Secret;

use crate::app::handlers::{HandlerCaller, Reach};
use crate::app::{App, SiteEntry};
use crate::delivery::Contents;
use crate::delivery::sms::SmsOutcome;
use crate::handler::HandlerError;
use crate::handler::contract::{Contract, SendOneTimePasswordArguments};
use crate::identity::text_message::SmsStatus;
use crate::outgoing::OutgoingMessage;

/// The site that a text message speaks for, if a handler sends its text messages.
pub(super) fn site_with_handler(app: &App, message: &OutgoingMessage) -> Option<Arc<SiteEntry>> {
    let directory = app.directory();
    let mut sites = directory.sites().iter();
    let site = sites.find(|entry| entry.site.id == message.site_id)?;
    let has_handler = site.site.settings.delivery_handler().is_some();
    (message.channel == VerificationMethod::Sms && has_handler).then(|| Arc::clone(site))
}

/// Asks the site's handler to send a message, and says what became of it.
pub(super) async fn send(
    app: &App,
    site: Arc<SiteEntry>,
    message: &OutgoingMessage,
    contents: &Contents,
    text: &str,
) -> SmsOutcome {
    let name = site
        .site
        .settings
        .delivery_handler()
        .unwrap_or_default()
        .to_owned();
    let code = contents.variables.code.as_ref();
    let argument = SendOneTimePasswordArguments {
        user_id: contents.user_id.clone(),
        phone_number: message.recipient.clone(),
        one_time_password: code.map(Secret::expose).unwrap_or_default().to_owned(),
        default_text: text.to_owned(),
        network_id: message.site_id.clone(),
        experience_id: message.site_id.clone(),
    };
    let argument = match serde_json::to_value(argument) {
        Ok(argument) => argument,
        Err(error) => return outcome(Err(HandlerError::new("TypeException", error.to_string()))),
    };
    let caller = HandlerCaller {
        site: &site,
        at: app.now(),
        request_id: None,
        // The documented handler has no "Run As" user.
        run_as: None,
        reach: Reach::Nothing,
    };
    let contract = Contract::SendOneTimePassword;
    outcome(
        app.call_handler_as(&caller, &name, contract, argument)
            .await,
    )
}

/// What an answer means for the message. A reason holds nothing that the handler said, but a word of the list.
fn outcome(answered: Result<Value, HandlerError>) -> SmsOutcome {
    let (status, reason) = match answered {
        Ok(value) => match value.as_str().and_then(SmsStatus::parse) {
            Some(status) => (status, String::from("the delivery handler says so")),
            None => (
                SmsStatus::Exception,
                String::from("the delivery handler's result is none of the words"),
            ),
        },
        // What it threw may hold the code.
        Err(_) => (
            SmsStatus::Exception,
            String::from("the delivery handler failed, `vestibule handler calls` shows how"),
        ),
    };
    let reason = format!("{}: {reason}", status.as_str());
    match status {
        SmsStatus::Success => SmsOutcome::Sent,
        SmsStatus::CountryBlock | SmsStatus::InvalidPhoneNumber => {
            SmsOutcome::Reject { status, reason }
        }
        SmsStatus::Exception | SmsStatus::MessageLimitExceeded | SmsStatus::ProviderError => {
            SmsOutcome::Retry { status, reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_final_when_it_is_about_the_number_and_passes_otherwise() {
        let outcome = |answered: Result<Value, HandlerError>| match outcome(answered) {
            SmsOutcome::Sent => String::from("sent"),
            SmsOutcome::Retry { reason, .. } => format!("retry {reason}"),
            SmsOutcome::Reject { reason, .. } => format!("reject {reason}"),
        };
        for (answer, expected) in [
            (json!("SUCCESS"), "sent"),
            (json!("COUNTRY_BLOCK"), "reject COUNTRY_BLOCK: "),
            (
                json!("INVALID_PHONE_NUMBER"),
                "reject INVALID_PHONE_NUMBER: ",
            ),
            (
                json!("MESSAGE_LIMIT_EXCEEDED"),
                "retry MESSAGE_LIMIT_EXCEEDED: ",
            ),
            (json!("PROVIDER_ERROR"), "retry PROVIDER_ERROR: "),
            (json!("EXCEPTION"), "retry EXCEPTION: "),
            // Whatever else is none of the words.
            (json!("success"), "retry EXCEPTION: "),
            (json!("482913 to +491511234567"), "retry EXCEPTION: "),
            (json!(null), "retry EXCEPTION: "),
            (json!(true), "retry EXCEPTION: "),
            (json!({"status": "SUCCESS"}), "retry EXCEPTION: "),
            (json!(["SUCCESS"]), "retry EXCEPTION: "),
        ] {
            let outcome = outcome(Ok(answer));
            assert!(outcome.starts_with(expected), "{outcome}");
            assert!(!outcome.contains("482913"), "{outcome}");
        }
        let error = HandlerError::new("482913", "482913 took too long");
        assert_eq!(
            outcome(Err(error)),
            "retry EXCEPTION: the delivery handler failed, `vestibule handler calls` shows how"
        );
    }
}

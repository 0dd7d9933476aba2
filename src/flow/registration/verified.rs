//! A registration whose code was right, and how it ends when no user can be made of it.

use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use super::draft::Draft;
use crate::app::handlers::shown_exception;
use crate::app::{App, Visit};
use crate::flow::one_time_password;
use crate::handler::HandlerError;
use crate::refusal::{Failure, Reason, Refusal};
use crate::settings::{HandlerChoice, Settings};
use crate::store;

/// The `amr` of a one-time password (RFC 8176).
pub(super) const AMR: &str = "otp";

/// The draft of a registration whose address or number is verified: its code was right.
pub(super) struct VerifiedDraft {
    pub(super) identifier_hash: [u8; 32],
    pub(super) channel: VerificationMethod,
    pub(super) draft: Draft,
}

/// A handler that fails is a mistake in the configuration: the request ends, no user is made, and the app gets the
/// reason.
pub(super) async fn give_up<T>(
    app: &App,
    visit: &Visit,
    verified: &VerifiedDraft,
    error: &HandlerError,
) -> Result<T, Failure> {
    let event = visit.event(&app.entropy, "registration.failed");
    app.store
        .write(
            "registration.fail",
            (verified.identifier_hash, event),
            |tx, (hash, event)| {
                Box::pin(async move {
                    store::challenge::close(tx, hash, event.at).await?;
                    store::audit::insert(tx, event).await
                })
            },
        )
        .await?;
    Err(failed(visit, error).into())
}

/// The reason for a log line. That of a custom handler may contain data of the request; it is in the record of the
/// call.
fn shown_reason<'e>(settings: &Settings, error: &'e HandlerError) -> Option<&'e str> {
    let is_ours = settings.registration_handler == HandlerChoice::BuiltIn;
    is_ours.then_some(error.message.as_str())
}

/// The refusal of a registration that failed after its code was accepted, with its log line.
pub(super) fn failed(visit: &Visit, error: &HandlerError) -> Refusal {
    tracing::warn!(
        request = %visit.request_id, exception = shown_exception(error),
        reason = shown_reason(&visit.site.site.settings, error),
        "a verified registration failed"
    );
    Refusal::RegistrationFailed {
        apex_error: error.apex_error(),
    }
}

/// Why the last write has registered no user.
pub(super) enum NotRegistered {
    /// Another request with the same code came first.
    CodeUsed,
    /// The reason is reported to the app.
    Failed(HandlerError),
}

impl NotRegistered {
    /// Counts and logs it, after the commit.
    pub(super) fn report(self, app: &App, visit: &Visit) -> Refusal {
        match self {
            NotRegistered::CodeUsed => {
                one_time_password::report_failure(app, visit, Purpose::Registration, false);
                one_time_password::failed(Reason::OtpSuperseded)
            }
            NotRegistered::Failed(error) => failed(visit, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_reasons_reach_the_log() {
        let error = HandlerError::new("DomainException", "not for janice@example.com");
        let reason = |handler: HandlerChoice| {
            let settings = Settings {
                registration_handler: handler,
                ..Settings::default()
            };
            shown_reason(&settings, &error).map(str::to_owned)
        };
        assert_eq!(
            reason(HandlerChoice::BuiltIn).as_deref(),
            Some(error.message.as_str())
        );
        assert_eq!(reason(HandlerChoice::Named("welcome".into())), None);
    }
}

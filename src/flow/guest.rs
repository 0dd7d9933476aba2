//! Guests: `Auth-Request-Type: guest` at authorize.
//!
//! An unauthenticated user gets a code that is bound to the UVID that the app assigned. No user is looked up and
//! nothing is verified: the code belongs to the guest user of the site, which has no row, and its token is a JWT with
//! the UVID.
//!
//! Source: Headless Guest Flow.

use vestibule_protocol::authorization::AuthorizationAnswer;

use super::authorization::{self, Checked};
use crate::app::{App, Visit};
use crate::refusal::{Failure, Refusal};
use crate::store;

/// The `amr` of a guest (RFC 8176): none.
const AMR: &str = "";

/// Issues the code of a guest.
///
/// # Refusals
/// `ParameterMissing` when no visitor is named.
pub async fn log_in(
    app: &App,
    visit: &Visit,
    checked: &Checked,
) -> Result<AuthorizationAnswer, Failure> {
    if checked.uvid.is_none() {
        return Err(Refusal::ParameterMissing { name: "uvid_hint" }.into());
    }
    let code = authorization::issue_code(app, visit, checked, AMR);
    let row = code.row.of_guest(&visit.site.guest_user_id);
    app.store
        .write("guest.enter", row, |tx, row| {
            Box::pin(store::code::insert(tx, row))
        })
        .await?;
    Ok(authorization::answer(visit, checked, code.text))
}

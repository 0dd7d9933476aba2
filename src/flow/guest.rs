//! Guests: `Auth-Request-Type: guest` at authorize.
//!
//! Somebody who has not said who they are gets a code that is bound to the UVID that the app has given
//! them. Nobody is looked up and nothing is proven: the code speaks for the site's guest user, whom no
//! row stands for, and the token that comes of it is a JWT with the UVID in it.
//!
//! Source: Headless Guest Flow.

use vestibule_protocol::authorization::AuthorizationAnswer;

use super::authorization::{self, Checked};
use crate::app::{App, Visit};
use crate::refusal::{Failure, Refusal};
use crate::store;

/// How a guest proves who they are: not at all.
const AMR: &str = "";

/// Lets a guest in.
///
/// # Refusals
/// `ParameterMissing` when no visitor is named.
pub async fn enter(
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

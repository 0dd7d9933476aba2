//! `GET|POST /id/<organisation>/<user>`: the identity URL, which the mobile SDKs read right after
//! every token answer.
//!
//! Source: Identity URLs; the members are those that both SDKs parse.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::error::Shape;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::Format;
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::identity::{Identity, Status, Urls};

use super::answer::private;
use super::arrival::Arrival;
use super::userinfo::{layout, parameters, photos, user_type};
use super::{attempt, bearer};
use crate::refusal::{Failure, Refusal};

/// Answers.
pub(super) async fn answer(arrival: &mut Arrival) -> Response {
    let parameters = attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        parameters(arrival).await
    );
    let format = attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        arrival.format(parameters.get("format"))
    );
    let identity = attempt!(
        arrival,
        Shape::OAuth,
        format,
        identity(arrival, &parameters).await
    );
    private(
        StatusCode::OK,
        format,
        identity.render(format, layout(arrival)),
    )
}

async fn identity(arrival: &Arrival, parameters: &Parameters) -> Result<Identity, Failure> {
    let user = bearer::holder(arrival, None).await?.user;
    let directory = arrival.app.directory();
    // Only the token's own user, and the answer does not tell whether another exists.
    if !is_path_of(&arrival.path, &directory.org_id, &user.id) {
        return Err(Refusal::AccessTokenScopeMissing.into());
    }
    let base_url = &arrival.site.site.base_url;
    Ok(Identity {
        id: arrival.site.identity_url(&directory.org_id, &user.id),
        asserted_user: true,
        organization_id: directory.org_id.clone(),
        nick_name: Some(user.nickname().to_owned()),
        display_name: Some(user.display_name()),
        email_verified: Some(user.email_verified_at.is_some()),
        photos: Some(photos(base_url)),
        addr_street: None,
        addr_city: None,
        addr_state: None,
        addr_country: None,
        addr_zip: None,
        mobile_phone_verified: user.phone_verified_at.is_some(),
        status: Status::default(),
        urls: Some(Urls::below(base_url, &user.id, parameters.get("version"))),
        active: user.check_active().is_ok(),
        user_type: user_type(arrival, &user.profile_id),
        language: user.locale.clone(),
        locale: user.locale.clone(),
        utc_offset: user.utc_offset_millis(arrival.at),
        last_modified_date: user.updated_at.iso_seconds(),
        is_app_installed: true,
        custom_attributes: None,
        custom_permissions: None,
        username: Some(user.username),
        email: Some(user.email),
        first_name: user.first_name,
        last_name: Some(user.last_name),
        timezone: Some(user.timezone),
        mobile_phone: user.phone,
        user_id: user.id,
    })
}

/// Whether `/id/<organisation>/<user>` names these two; 15 and 18 characters name the same record.
fn is_path_of(path: &str, org_id: &str, user_id: &str) -> bool {
    let mut parts = path.strip_prefix("/id/").unwrap_or_default().split('/');
    let is_same = |part: Option<&str>, id: &str| {
        part.and_then(|part| RecordId::parse(part).ok())
            .is_some_and(|part| part.as_str() == id)
    };
    is_same(parts.next(), org_id) && is_same(parts.next(), user_id) && parts.next().is_none()
}

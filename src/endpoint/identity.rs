//! `GET|POST /id/<organisation>/<user>`: the identity URL, which the mobile SDKs read right after
//! every token answer.
//!
//! Source: Identity URLs; the members are those that both SDKs parse.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::identity::{Identity, Photos, Status, Urls};

use super::answer::private;
use super::arrival::Arrival;
use super::bearer;
use super::content::Content;
use crate::app::{Bearer, GUEST_USER_TYPE};
use crate::identity::utc_offset_millis;
use crate::refusal::{Failure, Refusal};

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let identity = identity(arrival, &content.parameters).await?;
    let body = identity.render(content.format, arrival.layout());
    Ok(private(StatusCode::OK, content.format, body))
}

async fn identity(arrival: &Arrival, parameters: &Parameters) -> Result<Identity, Failure> {
    let bearer = bearer::reader(arrival, None).await?;
    let directory = arrival.app.directory();
    // Only the user of the token is shown, and the answer does not disclose whether another exists.
    let user_id = match &bearer {
        Bearer::Guest(_) => &arrival.site.guest_user_id,
        Bearer::User(holder) => &holder.user.id,
    };
    if !is_path_of(&arrival.path, &directory.org_id, user_id) {
        return Err(Refusal::AccessTokenScopeMissing.into());
    }
    let user = match bearer {
        Bearer::Guest(_) => return Ok(guest(arrival, &directory.org_id)),
        Bearer::User(holder) => holder.user,
    };
    let base_url = &arrival.site.site.base_url;
    Ok(Identity {
        id: arrival.site.identity_url(&directory.org_id, &user.id),
        asserted_user: true,
        organization_id: directory.org_id.clone(),
        nick_name: Some(user.nickname().to_owned()),
        display_name: Some(user.display_name()),
        email_verified: Some(user.email_verified_at.is_some()),
        photos: Some(Photos::below(base_url)),
        addr_street: None,
        addr_city: None,
        addr_state: None,
        addr_country: None,
        addr_zip: None,
        mobile_phone_verified: user.phone_verified_at.is_some(),
        status: Status::default(),
        urls: Some(Urls::below(base_url, &user.id, parameters.get("version"))),
        active: user.check_active().is_ok(),
        user_type: directory.user_type(&user.profile_id).to_owned(),
        language: user.locale.clone(),
        locale: user.locale.clone(),
        utc_offset: user.utc_offset_millis(arrival.at),
        last_modified_date: user.updated_at.iso_seconds(),
        is_app_installed: true,
        custom_attributes: None,
        custom_permissions: None,
        username: Some(user.username),
        email: Some(user.email),
        // A text, always: the mobile SDKs stop at a missing member and show a null as "null".
        first_name: Some(user.first_name.unwrap_or_default()),
        last_name: Some(user.last_name),
        timezone: Some(user.timezone),
        mobile_phone: user.phone,
        user_id: user.id,
    })
}

/// The members of a guest, which has no user data, in the locale of the site.
fn guest(arrival: &Arrival, org_id: &str) -> Identity {
    let (site, user_id) = (&arrival.site.site, &arrival.site.guest_user_id);
    let settings = &site.settings;
    Identity {
        id: arrival.site.identity_url(org_id, user_id),
        asserted_user: true,
        user_id: user_id.clone(),
        organization_id: org_id.to_owned(),
        username: None,
        nick_name: None,
        display_name: None,
        email: None,
        email_verified: None,
        first_name: None,
        last_name: None,
        timezone: Some(settings.default_timezone.clone()),
        photos: None,
        addr_street: None,
        addr_city: None,
        addr_state: None,
        addr_country: None,
        addr_zip: None,
        mobile_phone: None,
        mobile_phone_verified: false,
        status: Status::default(),
        urls: None,
        active: true,
        user_type: GUEST_USER_TYPE.to_owned(),
        language: settings.default_locale.clone(),
        locale: settings.default_locale.clone(),
        utc_offset: utc_offset_millis(&settings.default_timezone, arrival.at),
        last_modified_date: site.created_at.iso_seconds(),
        is_app_installed: true,
        custom_attributes: None,
        custom_permissions: None,
    }
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

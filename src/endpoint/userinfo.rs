//! `GET|POST /services/oauth2/userinfo` (OpenID Connect Core 1.0 section 5.3).

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::identity::{Photos, Urls};
use vestibule_protocol::userinfo::{Address, UserInfo};

use super::answer::private;
use super::arrival::Arrival;
use super::bearer;
use super::content::Content;
use crate::app::{Bearer, GUEST_USER_TYPE};
use crate::refusal::Failure;

/// Answers. The token is sent in the header, or in a POST body as `access_token`; one in the URL is
/// not read (RFC 9700 section 4.3.2).
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let info = user_info(arrival, content.parameters).await?;
    let body = info.render(content.format, arrival.layout());
    Ok(private(StatusCode::OK, content.format, body))
}

async fn user_info(arrival: &Arrival, mut parameters: Parameters) -> Result<UserInfo, Failure> {
    let form_token = if parameters.came_in_query("access_token") {
        None
    } else {
        parameters.take_secret("access_token")
    };
    let user = match bearer::reader(arrival, form_token).await? {
        Bearer::Guest(_) => return Ok(guest_info(arrival)),
        Bearer::User(holder) => holder.user,
    };
    let base_url = &arrival.site.site.base_url;
    let directory = arrival.app.directory();
    let photos = Photos::below(base_url);
    Ok(UserInfo {
        sub: arrival.site.identity_url(&directory.org_id, &user.id),
        organization_id: directory.org_id.clone(),
        preferred_username: Some(user.username.clone()),
        nickname: Some(user.nickname().to_owned()),
        name: Some(user.display_name()),
        email_verified: Some(user.email_verified_at.is_some()),
        given_name: user.first_name.clone(),
        family_name: Some(user.last_name.clone()),
        picture: Some(photos.picture.clone()),
        photos: Some(photos),
        profile: Some(format!("{base_url}/{}", user.id)),
        address: Some(Address::default()),
        phone_number_verified: Some(user.phone_verified_at.is_some()),
        is_salesforce_integration_user: user.is_integration,
        urls: Some(Urls::below(base_url, &user.id, None)),
        active: user.check_active().is_ok(),
        user_type: directory.user_type(&user.profile_id).to_owned(),
        language: Some(user.locale.clone()),
        locale: Some(user.locale.clone()),
        utc_offset: Some(user.utc_offset_millis(arrival.at)),
        updated_at: Some(user.updated_at.iso_seconds()),
        is_app_installed: true,
        email: Some(user.email),
        phone_number: user.phone,
        zoneinfo: Some(user.timezone),
        user_id: user.id,
    })
}

/// The members of a guest, which has no user data.
fn guest_info(arrival: &Arrival) -> UserInfo {
    let org_id = arrival.app.directory().org_id.clone();
    let user_id = arrival.site.guest_user_id.clone();
    UserInfo {
        sub: arrival.site.identity_url(&org_id, &user_id),
        user_id,
        organization_id: org_id,
        active: true,
        user_type: String::from(GUEST_USER_TYPE),
        is_app_installed: true,
        ..UserInfo::default()
    }
}

//! `GET|POST /services/oauth2/userinfo` (OpenID Connect Core 1.0 section 5.3).

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::error::Shape;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::{Format, Layout};
use vestibule_protocol::identity::{Photos, Urls};
use vestibule_protocol::userinfo::{Address, UserInfo};

use super::answer::private;
use super::arrival::Arrival;
use super::{attempt, bearer, token};
use crate::app::Bearer;
use crate::refusal::Failure;

/// Answers. The token comes in the header, or in a POST body as `access_token`; one in the URL is
/// not looked at (RFC 9700 section 4.3.2).
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
    let info = attempt!(
        arrival,
        Shape::OAuth,
        format,
        user_info(arrival, parameters).await
    );
    private(StatusCode::OK, format, info.render(format, layout(arrival)))
}

/// `X-PrettyPrint: 1` indents.
pub(super) fn layout(arrival: &Arrival) -> Layout {
    match arrival
        .headers
        .get("x-prettyprint")
        .map(|value| value.as_bytes())
    {
        Some(b"1") => Layout::Pretty,
        _ => Layout::Compact,
    }
}

/// The parameters of a GET or a POST, the method being checked first.
pub(super) async fn parameters(arrival: &mut Arrival) -> Result<Parameters, Failure> {
    let body = arrival.body().await?;
    Ok(Parameters::parse(arrival.query.as_deref(), &body).map_err(token::malformed)?)
}

async fn user_info(arrival: &Arrival, mut parameters: Parameters) -> Result<UserInfo, Failure> {
    let form_token = match parameters.came_in_query("access_token") {
        true => None,
        false => parameters.take_secret("access_token"),
    };
    let user = match bearer::reader(arrival, form_token).await? {
        Bearer::Guest(_) => return Ok(guest_info(arrival)),
        Bearer::User(holder) => holder.user,
    };
    let base_url = &arrival.site.site.base_url;
    let directory = arrival.app.directory();
    let photos = photos(base_url);
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
        user_type: user_type(arrival, &user.profile_id),
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

/// What there is to say of somebody who has not said who they are.
fn guest_info(arrival: &Arrival) -> UserInfo {
    let org_id = arrival.app.directory().org_id.clone();
    let user_id = arrival.site.guest_user_id.clone();
    UserInfo {
        sub: arrival.site.identity_url(&org_id, &user_id),
        user_id,
        organization_id: org_id,
        active: true,
        user_type: String::from(GUEST),
        is_app_installed: true,
        ..UserInfo::default()
    }
}

/// The user type of a guest.
pub(super) const GUEST: &str = "GUEST";

/// The pictures that every user has: none of their own, but both members, because the mobile SDKs
/// stop reading at a missing one.
pub(super) fn photos(base_url: &str) -> Photos {
    Photos {
        picture: format!("{base_url}/profilephoto/005/F"),
        thumbnail: format!("{base_url}/profilephoto/005/T"),
    }
}

/// The user type of a profile.
pub(super) fn user_type(arrival: &Arrival, profile_id: &str) -> String {
    let directory = arrival.app.directory();
    directory
        .profile(profile_id)
        .map_or("", |profile| profile.user_type.as_str())
        .to_owned()
}

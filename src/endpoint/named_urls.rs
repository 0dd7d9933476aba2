//! The URLs that userinfo and the identity URL name: pictures of users, which are all the same one, and the APIs of a full
//! installation of the imitated service, which are refused by its own error. No URL that the server names is unknown to
//! it.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use vestibule_protocol::format::Format;
use vestibule_protocol::identifier::RecordId;

use super::answer::private;
use crate::identity::prefix;

/// A grey portrait, 96 pixels wide.
const PHOTO: &[u8] = include_bytes!("profile_photo.png");

/// The picture of every user.
pub(super) fn photo() -> Response {
    let mut response = Response::new(Body::from(PHOTO));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=86400"),
    );
    response
}

/// Whether a path belongs to an API or a page of the imitated service that is named in the answers and not served.
pub(super) fn is_foreign_api(path: &str) -> bool {
    let is_profile = path
        .strip_prefix('/')
        .and_then(|id| RecordId::parse(id).ok())
        .is_some_and(|id| id.as_str().starts_with(prefix::USER));
    is_profile || path.starts_with("/services/data/") || path.starts_with("/services/Soap/")
}

/// The error of an organisation without that API.
pub(super) fn api_disabled() -> Response {
    let body = String::from(
        r#"[{"message":"The REST API is not enabled for this Organization.","errorCode":"API_DISABLED_FOR_ORG"}]"#,
    );
    private(StatusCode::FORBIDDEN, Format::Json, body)
}

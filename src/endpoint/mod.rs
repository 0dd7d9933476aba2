//! Endpoints: the public listener, one thin file per protocol endpoint.
//!
//! This page shows every route. The request's site, scheme and client address are determined first
//! (`gate`, `arrival`). The path below the site's prefix chooses the route, and with it the endpoint,
//! the shape of its errors and the content that it reads (`content`). The endpoint's file parses, calls
//! a flow or a grant, and returns the answer or a failure; the dispatcher writes the failure. What all
//! answers have in common is in `answer`, and which web pages may read them in `cors`.

mod acceptor;
mod activity;
mod admit;
mod answer;
mod arrival;
mod attestation;
mod authorization_challenge;
mod authorize;
mod bearer;
mod bodies;
mod client_headers;
mod content;
mod cors;
mod discovery;
mod echo;
mod forgot_password;
mod gate;
mod identity;
mod introspect;
mod listener;
mod management;
mod named_urls;
mod passwordless_login;
mod pkce_generator;
mod places;
mod rate_limits;
mod registration;
mod revoke;
mod token;
mod userinfo;
mod visitor;

use axum::body::Body;
use axum::response::Response;
use http::Method;
use vestibule_protocol::error::Shape;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::AnswerWords;

use crate::refusal::{Failure, Refusal};
use answer::refuse;
use arrival::Arrival;
use content::{Content, ContentKind};
use cors::Readers;
pub use gate::{Gate, RequestIds};
pub use listener::{Listeners, Started, router, start};

/// An endpoint: its name in the metrics, its methods, and the shape of its errors.
struct Route {
    name: &'static str,
    allow: &'static str,
    shape: Shape,
    endpoint: Endpoint,
}

#[derive(Clone, Copy)]
enum Endpoint {
    AttestationChallenge,
    AuthConfiguration,
    AuthorizationChallenge(AnswerWords),
    Authorize,
    Echo,
    ForeignApi,
    ForgotPassword,
    Identity,
    Introspect,
    Keys,
    Metadata,
    PasswordlessLogin,
    Photo,
    PkceGenerator,
    Registration,
    Revoke,
    Token,
    Unknown,
    Userinfo,
}

/// Every public path, below the site's prefix.
fn route(path: &str) -> Route {
    use Shape::{Headless, Merged, OAuth};
    let (endpoint, name, allow, shape) = match path {
        "/services/auth/headless/init/registration" => {
            (Endpoint::Registration, "init_registration", "POST", Merged)
        }
        "/services/auth/headless/init/passwordless/login" => (
            Endpoint::PasswordlessLogin,
            "init_passwordless_login",
            "POST",
            Merged,
        ),
        "/services/auth/headless/forgot_password" => (
            Endpoint::ForgotPassword,
            "forgot_password",
            "POST",
            Headless,
        ),
        "/services/oauth2/attestation_challenge" => (
            Endpoint::AttestationChallenge,
            "attestation_challenge",
            "POST",
            OAuth,
        ),
        "/services/oauth2/authorization_challenge" => (
            Endpoint::AuthorizationChallenge(AnswerWords::Standard),
            "authorization_challenge",
            "POST",
            OAuth,
        ),
        "/services/oauth2/v1/authorization_challenge" => (
            Endpoint::AuthorizationChallenge(AnswerWords::Documented),
            "authorization_challenge_v1",
            "POST",
            OAuth,
        ),
        "/services/oauth2/authorize" => (Endpoint::Authorize, "authorize", "GET, POST", OAuth),
        "/services/oauth2/echo" => (Endpoint::Echo, "echo", "GET", OAuth),
        "/services/oauth2/introspect" => (Endpoint::Introspect, "introspect", "POST", OAuth),
        "/services/oauth2/pkce/generator" => {
            (Endpoint::PkceGenerator, "pkce_generator", "GET", OAuth)
        }
        "/profilephoto/005/F" | "/profilephoto/005/T" => {
            (Endpoint::Photo, "photo", "GET, HEAD", OAuth)
        }
        "/services/oauth2/revoke" => (Endpoint::Revoke, "revoke", "GET, POST", OAuth),
        "/services/oauth2/token" => (Endpoint::Token, "token", "POST", OAuth),
        "/services/oauth2/userinfo" => (Endpoint::Userinfo, "userinfo", "GET, POST", OAuth),
        "/.well-known/auth-configuration" => (
            Endpoint::AuthConfiguration,
            "auth_configuration",
            "GET, HEAD",
            OAuth,
        ),
        "/id/keys" => (Endpoint::Keys, "keys", "GET, HEAD", OAuth),
        "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
            (Endpoint::Metadata, "metadata", "GET, HEAD", OAuth)
        }
        path if path.starts_with("/id/") => (Endpoint::Identity, "identity", "GET, POST", OAuth),
        path if named_urls::is_foreign_api(path) => {
            (Endpoint::ForeignApi, "foreign_api", "", OAuth)
        }
        _ => (Endpoint::Unknown, "unknown", "", OAuth),
    };
    Route {
        name,
        allow,
        shape,
        endpoint,
    }
}

impl Route {
    /// The content that the endpoint reads.
    fn content(&self) -> ContentKind {
        match self.endpoint {
            Endpoint::AttestationChallenge
            | Endpoint::AuthConfiguration
            | Endpoint::Echo
            | Endpoint::ForeignApi
            | Endpoint::Keys
            | Endpoint::Metadata
            | Endpoint::Photo
            | Endpoint::PkceGenerator
            | Endpoint::Unknown => ContentKind::Nothing,
            Endpoint::AuthorizationChallenge(_)
            | Endpoint::Authorize
            | Endpoint::ForgotPassword
            | Endpoint::PasswordlessLogin
            | Endpoint::Registration => ContentKind::Body,
            Endpoint::Introspect | Endpoint::Revoke => ContentKind::Form,
            Endpoint::Identity | Endpoint::Token | Endpoint::Userinfo => {
                ContentKind::FormWithFormat
            }
        }
    }

    /// Which web pages may read the answers.
    fn readers(&self) -> Readers {
        match self.endpoint {
            Endpoint::AuthConfiguration
            | Endpoint::Echo
            | Endpoint::Keys
            | Endpoint::Metadata
            | Endpoint::Photo => Readers::All,
            Endpoint::Identity | Endpoint::Userinfo => Readers::Listed,
            _ => Readers::ListedIfSwitchedOn,
        }
    }

    /// Refuses a method that the endpoint does not allow. A path without an endpoint allows any method: its
    /// answer is a 404.
    fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        let mut allowed = self.allow.split(", ");
        if self.allow.is_empty() || allowed.any(|allowed| allowed == method.as_str()) {
            return Ok(());
        }
        Err(Refusal::MethodNotAllowed { allow: self.allow })
    }
}

/// Reads the content of a request, calls its endpoint, and writes the failure if there is one: in the
/// route's shape, and in the format of the answer as far as it is known. The instant of the request is that of the end
/// of its content, so that a slow body does not prolong the life of what it presents.
async fn dispatch(arrival: &mut Arrival, body: Body, route: &Route) -> Response {
    let read = Content::read(arrival, body, route.content()).await;
    arrival.at = arrival.app.now();
    let (answered, format) = match read {
        Ok(content) => {
            let format = content.format;
            (call(arrival, content, route.endpoint).await, format)
        }
        Err(failure) => (Err(failure), Format::Json),
    };
    let mut response =
        answered.unwrap_or_else(|failure| refuse(arrival, failure, route.shape, format));
    if matches!(
        route.endpoint,
        Endpoint::AuthorizationChallenge(AnswerWords::Standard)
    ) || attestation::is_named(arrival)
    {
        attestation::renew(arrival, &mut response);
    }
    response
}

async fn call(
    arrival: &Arrival,
    content: Content,
    endpoint: Endpoint,
) -> Result<Response, Failure> {
    match endpoint {
        Endpoint::AttestationChallenge => attestation::challenge(arrival),
        Endpoint::AuthConfiguration => Ok(discovery::auth_configuration(arrival)),
        Endpoint::AuthorizationChallenge(words) => {
            authorization_challenge::answer(arrival, &content, words).await
        }
        Endpoint::Authorize => authorize::answer(arrival, content).await,
        Endpoint::Echo => echo::answer(arrival),
        Endpoint::ForeignApi => Ok(named_urls::api_disabled()),
        Endpoint::ForgotPassword => forgot_password::answer(arrival, content).await,
        Endpoint::Identity => identity::answer(arrival, content).await,
        Endpoint::Introspect => introspect::answer(arrival, content).await,
        Endpoint::Keys => Ok(discovery::keys(arrival)),
        Endpoint::Metadata => Ok(discovery::metadata(arrival)),
        Endpoint::PasswordlessLogin => passwordless_login::answer(arrival, content).await,
        Endpoint::Photo => Ok(named_urls::photo()),
        Endpoint::PkceGenerator => Ok(pkce_generator::answer(arrival)),
        Endpoint::Registration => registration::answer(arrival, content).await,
        Endpoint::Revoke => revoke::answer(arrival, content).await,
        Endpoint::Token => token::answer(arrival, content).await,
        Endpoint::Unknown => {
            answer::log_not_found(arrival);
            Ok(answer::not_found())
        }
        Endpoint::Userinfo => userinfo::answer(arrival, content).await,
    }
}

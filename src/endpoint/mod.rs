//! Endpoints: the public listener, one thin file per protocol endpoint.
//!
//! This page shows every route. A request is first placed: which site is it for, did it come in
//! clear, from where (`arrival`). Then its path below the site's prefix chooses a file, which parses,
//! asks a story and writes the answer. What every answer has in common stands in `answer`, and which
//! pages may read it in `cors`.

mod acceptor;
mod answer;
mod arrival;
mod attestation;
mod authorization_challenge;
mod authorize;
mod bearer;
mod cors;
mod discovery;
mod echo;
mod forgot_password;
mod gate;
mod identity;
mod introspect;
mod limited;
mod listener;
mod management;
mod passwordless_login;
mod registration;
mod revoke;
mod token;
mod userinfo;
mod visitor;

use axum::response::Response;
use http::Method;
use vestibule_protocol::error::Shape;
use vestibule_protocol::headless::AnswerWords;

use crate::refusal::Refusal;
use answer::refuse;
use arrival::Arrival;
use cors::Readers;
pub use gate::{Gate, RequestIds};
pub use listener::{Listeners, Started, router, start};

/// An endpoint: its name in the metrics, its methods, and how it words its refusals.
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
    ForgotPassword,
    Identity,
    Introspect,
    Keys,
    Metadata,
    PasswordlessLogin,
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
    /// Whose pages may read the answers.
    fn readers(&self) -> Readers {
        match self.endpoint {
            Endpoint::AuthConfiguration | Endpoint::Echo | Endpoint::Keys | Endpoint::Metadata => {
                Readers::Everybody
            }
            Endpoint::Identity | Endpoint::Userinfo => Readers::Listed,
            _ => Readers::ListedIfSwitchedOn,
        }
    }

    /// Refuses any method that is not the endpoint's. Where there is no endpoint any will do: the
    /// answer is a 404.
    fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        let mut allowed = self.allow.split(", ");
        if self.allow.is_empty() || allowed.any(|allowed| allowed == method.as_str()) {
            return Ok(());
        }
        Err(Refusal::MethodNotAllowed { allow: self.allow })
    }
}

async fn dispatch(arrival: &mut Arrival, route: &Route) -> Response {
    let mut response = match route.endpoint {
        Endpoint::AttestationChallenge => attestation::challenge(arrival),
        Endpoint::AuthConfiguration => discovery::auth_configuration(arrival),
        Endpoint::AuthorizationChallenge(words) => {
            authorization_challenge::answer(arrival, words).await
        }
        Endpoint::Authorize => authorize::answer(arrival).await,
        Endpoint::Echo => echo::answer(arrival),
        Endpoint::ForgotPassword => forgot_password::answer(arrival).await,
        Endpoint::Identity => identity::answer(arrival).await,
        Endpoint::Introspect => introspect::answer(arrival).await,
        Endpoint::Keys => discovery::keys(arrival),
        Endpoint::Metadata => discovery::metadata(arrival),
        Endpoint::PasswordlessLogin => passwordless_login::answer(arrival).await,
        Endpoint::Registration => registration::answer(arrival).await,
        Endpoint::Revoke => revoke::answer(arrival).await,
        Endpoint::Token => token::answer(arrival).await,
        Endpoint::Unknown => answer::not_found(),
        Endpoint::Userinfo => userinfo::answer(arrival).await,
    };
    if matches!(
        route.endpoint,
        Endpoint::AuthorizationChallenge(AnswerWords::Standard)
    ) || attestation::is_named(arrival)
    {
        attestation::renew(arrival, &mut response);
    }
    response
}

/// Unwraps a result, or answers the refusal.
macro_rules! attempt {
    ($arrival:expr, $shape:expr, $format:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(failure) => return $crate::endpoint::refuse($arrival, failure, $shape, $format),
        }
    };
}
pub(crate) use attempt;

//! Endpoints: the public listener, one thin file per protocol endpoint.
//!
//! This page shows every route. A request is first placed: which site is it for, did it come in
//! clear, from where (`arrival`). Then its path below the site's prefix chooses a file, which parses,
//! asks a story and writes the answer. What every answer has in common stands in `answer`.

mod answer;
mod arrival;
mod authorize;
mod bearer;
mod discovery;
mod echo;
mod identity;
mod listener;
mod management;
mod registration;
mod token;
mod userinfo;

use axum::response::Response;
use vestibule_protocol::error::Shape;

use crate::refusal::Refusal;
use answer::refuse;
use arrival::Arrival;
pub use arrival::{Gate, RequestIds};
pub use listener::{Listeners, Started, router, start};

/// An endpoint's name in the metrics, and how it words its refusals.
pub(crate) struct Route {
    name: &'static str,
    shape: Shape,
    endpoint: Endpoint,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Authorize,
    Echo,
    Identity,
    Keys,
    Metadata,
    Registration,
    Token,
    Unknown,
    Userinfo,
}

/// Every public path, below the site's prefix.
fn route(path: &str) -> Route {
    let (name, shape, endpoint) = match path {
        "/services/auth/headless/init/registration" => {
            ("init_registration", Shape::Merged, Endpoint::Registration)
        }
        "/services/oauth2/authorize" => ("authorize", Shape::OAuth, Endpoint::Authorize),
        "/services/oauth2/echo" => ("echo", Shape::OAuth, Endpoint::Echo),
        "/services/oauth2/token" => ("token", Shape::OAuth, Endpoint::Token),
        "/services/oauth2/userinfo" => ("userinfo", Shape::OAuth, Endpoint::Userinfo),
        "/id/keys" => ("keys", Shape::OAuth, Endpoint::Keys),
        "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
            ("metadata", Shape::OAuth, Endpoint::Metadata)
        }
        path if path.starts_with("/id/") => ("identity", Shape::OAuth, Endpoint::Identity),
        _ => ("unknown", Shape::OAuth, Endpoint::Unknown),
    };
    Route {
        name,
        shape,
        endpoint,
    }
}

async fn dispatch(arrival: &mut Arrival, route: &Route) -> Response {
    match route.endpoint {
        Endpoint::Authorize => authorize::answer(arrival).await,
        Endpoint::Echo => echo::answer(arrival),
        Endpoint::Identity => identity::answer(arrival).await,
        Endpoint::Keys => discovery::keys(arrival),
        Endpoint::Metadata => discovery::metadata(arrival),
        Endpoint::Registration => registration::answer(arrival).await,
        Endpoint::Token => token::answer(arrival).await,
        Endpoint::Unknown => answer::not_found(),
        Endpoint::Userinfo => userinfo::answer(arrival).await,
    }
}

/// Refuses any method but the ones listed in `allow`.
fn check_method(arrival: &Arrival, allow: &'static str) -> Result<(), Refusal> {
    let is_allowed = allow
        .split(", ")
        .any(|method| method == arrival.method.as_str());
    if is_allowed {
        Ok(())
    } else {
        Err(Refusal::MethodNotAllowed { allow })
    }
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

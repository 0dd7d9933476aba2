//! OpenID Connect Core 1.0 and Discovery 1.0, with the relying party of another library.
//!
//! The client knows only the issuer: it discovers the endpoints and keys, redeems the code and verifies the
//! id_token as the specification requires. Only the headless authorize request is written here.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use http::Response;
use openidconnect::core::{
    CoreClient, CoreIdToken, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
    CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, ClientId, ClientSecret,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse,
};
use serde_json::{Value, json};

use crate::fixture::{BASE_URL, Call, START, Site, on_sqlite};

type Answering<'s> = Pin<Box<dyn Future<Output = Result<HttpResponse, Infallible>> + Send + 's>>;

/// A client that has its endpoints from the discovery document.
type DiscoveredClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// An HTTP client over the fixture: what the library asks for is what the router gets.
fn http<'s>(site: &'s Site) -> impl Fn(HttpRequest) -> Answering<'s> {
    move |request: HttpRequest| {
        let (parts, body) = request.into_parts();
        let mut call = Call::new(parts.method, "")
            .at(parts.uri.path_and_query().expect("a path").as_str())
            .host(parts.uri.authority().expect("an absolute URL").as_str())
            .body(&body);
        for (name, value) in &parts.headers {
            call = call.header(name.as_str(), value.to_str().expect("plain text"));
        }
        Box::pin(async move {
            let answer = site.send(call).await;
            let mut response = Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                response = response.header(name, value);
            }
            Ok(response.body(answer.body.into_bytes()).expect("a response"))
        })
    }
}

async fn discover(site: &Site) -> CoreProviderMetadata {
    let issuer = IssuerUrl::new(BASE_URL.to_owned()).unwrap();
    CoreProviderMetadata::discover_async(issuer, &http(site))
        .await
        .expect("discovery succeeds")
}

/// Registers a user with a challenge and a nonce; the authorization code.
async fn authorize(
    site: &Site,
    username: &str,
    challenge: &PkceCodeChallenge,
    nonce: Option<&Nonce>,
) -> String {
    let identifier = site.pending(username).await;
    let otp = site.code_to(username).await;
    let mut call = site
        .authorize_call(&identifier, &otp)
        .form("code_challenge", challenge.as_str());
    if let Some(nonce) = nonce {
        call = call.form("nonce", nonce.secret());
    }
    site.send(call)
        .await
        .expect_status(302)
        .location_parameter("code")
}

async fn redeem(
    site: &Site,
    client: &DiscoveredClient,
    code: String,
    verifier: PkceCodeVerifier,
) -> CoreTokenResponse {
    client
        .exchange_code(AuthorizationCode::new(code))
        .expect("a token endpoint")
        .set_pkce_verifier(verifier)
        .request_async(&http(site))
        .await
        .expect("tokens")
}

on_sqlite! {
    async fn a_foreign_client_verifies_the_id_token_from_discovery_alone(site: Site) {
        for (name, algorithm) in [
            ("RS256", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
            ("ES256", CoreJwsSigningAlgorithm::EcdsaP256Sha256),
            ("EdDSA", CoreJwsSigningAlgorithm::EdDsa),
        ] {
            site.update_client(&site.client.id, json!({"idTokenSigningAlg": name})).await;
            let metadata = discover(&site).await;
            assert!(metadata.id_token_signing_alg_values_supported().contains(&algorithm), "{name}");
            // The library authenticates by Basic, with both halves form-encoded.
            let client = CoreClient::from_provider_metadata(
                metadata,
                ClientId::new(site.client.id.clone()),
                Some(ClientSecret::new(site.client.secret.clone())),
            )
            .set_redirect_uri(RedirectUrl::new(site.redirect_uri.clone()).unwrap());

            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let nonce = Nonce::new(format!("nonce of {name}"));
            let username = format!("{}@example.com", name.to_lowercase());
            let code = authorize(&site, &username, &challenge, Some(&nonce)).await;
            let tokens = redeem(&site, &client, code, verifier).await;

            let id_token = tokens.id_token().expect("an id_token");
            assert_eq!(*id_token.signing_alg().unwrap(), algorithm);
            let now = || START.iso_seconds().parse().expect("an instant");
            let verifier = client.id_token_verifier().set_allowed_algs([algorithm.clone()]).set_time_fn(now);
            let claims = id_token.claims(&verifier, &nonce).expect("the id_token verifies");
            let hash = AccessTokenHash::from_token(
                tokens.access_token(), id_token.signing_alg().unwrap(), id_token.signing_key(&verifier).unwrap(),
            );
            assert_eq!(claims.access_token_hash(), Some(&hash.unwrap()), "{name}");
            assert_eq!(claims.issuer().as_str(), BASE_URL);
            assert_eq!(claims.audiences().len(), 1);
            assert_eq!(claims.authorized_party().map(|party| party.as_str()), Some(site.client.id.as_str()));
            assert_eq!((claims.expiration() - claims.issue_time()).num_seconds(), 120);

            // Not for another nonce, another client or another day.
            assert!(id_token.claims(&verifier, &Nonce::new("other".to_owned())).is_err());
            let late = || START.plus_seconds(121).iso_seconds().parse().expect("an instant");
            let late = client.id_token_verifier().set_allowed_algs([algorithm.clone()]).set_time_fn(late);
            assert!(id_token.claims(&late, &nonce).is_err());

            // Core 5.3.2: `sub` of userinfo is that of the id_token.
            let call = Call::get("/services/oauth2/userinfo").bearer(tokens.access_token().secret());
            let info = site.send(call).await.expect_ok().json();
            assert_eq!(info["sub"], claims.subject().as_str());
            assert_eq!(info["email"], username);
            assert_eq!(info["email_verified"], true);
        }
    }
}

on_sqlite! {
    async fn a_known_deviation_userinfo_writes_updated_at_as_the_original_does(site: Site) {
        // Core 5.1 wants a number; the original sends text, which this strict client refuses unless
        // it is set to accept RFC 3339. Everything else in the document it reads.
        let tokens = site.register("janice@example.com").await;
        let call = Call::get("/services/oauth2/userinfo").bearer(tokens["access_token"].as_str().unwrap());
        let mut info = site.send(call).await.expect_ok().json();
        assert!(info["updated_at"].is_string());
        let read = |info: &Value| CoreUserInfoClaims::from_json::<Infallible>(info.to_string().as_bytes(), None);
        let refused = format!("{:?}", read(&info).unwrap_err());
        assert!(refused.contains("updated_at"), "{refused}");
        info["updated_at"] = json!(START.seconds());
        let claims = read(&info).expect("the rest is as specified");
        assert_eq!(claims.email().map(|email| email.as_str()), Some("janice@example.com"));
    }
}

on_sqlite! {
    async fn a_changed_id_token_does_not_verify(site: Site) {
        let client = CoreClient::from_provider_metadata(
            discover(&site).await, ClientId::new(site.client.id.clone()), Some(ClientSecret::new(site.client.secret.clone())),
        );
        let tokens = site.register("janice@example.com").await;
        let text = tokens["id_token"].as_str().unwrap();
        let now = || START.iso_seconds().parse().expect("an instant");
        let verifier = client.id_token_verifier().set_time_fn(now);
        let verifies = |text: &str| {
            let token: CoreIdToken = serde_json::from_value(json!(text)).expect("the form of a JWT");
            token.claims(&verifier, |_: Option<&Nonce>| Ok(())).is_ok()
        };
        assert!(verifies(text));
        let at = text.len() - 20;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        assert!(!verifies(&format!("{}{other}{}", &text[..at], &text[at + 1..])));
        let hash = AccessTokenHash::from_token(
            &AccessToken::new("another".to_owned()),
            &CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            serde_json::from_value::<CoreIdToken>(json!(text)).unwrap().signing_key(&verifier).unwrap(),
        );
        let token: CoreIdToken = serde_json::from_value(json!(text)).unwrap();
        let claims = token.claims(&verifier, |_: Option<&Nonce>| Ok(())).unwrap();
        assert_ne!(claims.access_token_hash(), hash.ok().as_ref());
        assert!(claims.nonce().is_none(), "none was sent");
    }
}

on_sqlite! {
    async fn a_public_client_redeems_with_its_verifier_alone(site: Site) {
        site.update_client(&site.client.id, json!({"isConsumerSecretOptional": true, "isPkceRequired": true})).await;
        let client = CoreClient::from_provider_metadata(discover(&site).await, ClientId::new(site.client.id.clone()), None)
            .set_auth_type(AuthType::RequestBody)
            .set_redirect_uri(RedirectUrl::new(site.redirect_uri.clone()).unwrap());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let code = authorize(&site, "janice@example.com", &challenge, None).await;
        let tokens = redeem(&site, &client, code, verifier).await;
        assert!(tokens.id_token().is_some());
        assert_eq!(tokens.expires_in().map(|time| time.as_secs()), Some(7_200));
    }
}

on_sqlite! {
    async fn discovery_promises_only_what_answers(site: Site) {
        let metadata = discover(&site).await;
        assert_eq!(metadata.issuer().as_str(), BASE_URL);
        let other = CoreResponseType::Extension("code_credentials".to_owned());
        assert!(metadata.response_types_supported().iter().any(|types| types.contains(&other)));

        let call = Call::get("/.well-known/openid-configuration");
        let answer = site.send(call).await.expect_ok();
        assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
        let document: Value = answer.json();
        let mut endpoints = 0;
        for (name, value) in document.as_object().unwrap() {
            if !name.ends_with("_endpoint") && name != "jwks_uri" {
                continue;
            }
            endpoints += 1;
            let path = value.as_str().unwrap().strip_prefix("https://site.example.com").expect("our own host");
            let status = site.send(Call::get("").at(path)).await.status;
            assert!(matches!(status, 200 | 400 | 401 | 405), "{name}: {status}");
        }
        assert!(endpoints >= 4, "{document}");
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["subject_types_supported"], json!(["public"]));
        assert!(document["scopes_supported"].as_array().unwrap().contains(&json!("refresh_token")));
        let grants = document["grant_types_supported"].as_array().unwrap();
        for grant in grants {
            let call = Call::post("/services/oauth2/token").form("grant_type", grant.as_str().unwrap());
            let answer = site.send(call).await;
            assert_ne!(answer.json()["error"], "unsupported_grant_type", "{grant}");
        }
    }
}

on_sqlite! {
    async fn the_key_set_contains_public_keys_only(site: Site) {
        let answer = site.send(Call::get("/id/keys")).await.expect_ok();
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        assert_eq!(keys.len(), 3);
        for key in keys {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert_eq!(key.get(private), None, "{private}");
            }
            assert_eq!(key["use"], "sig");
            assert!(key["kid"].is_string() && key["alg"].is_string());
        }
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    }
}

//! The requests and responses that the documentation prints, replayed.
//!
//! One file per page: the Headless Registration Flow for private clients (`registration`), the
//! Headless Passwordless Login Flow for public clients (`passwordless_login`), the Headless Forgot
//! Password Flow (`forgot_password`) with its two tables of errors (`forgot_password_errors`), and
//! the parameters of all three, each by itself (`parameters`). A request is given here as it is printed, host and
//! line breaks included, with the stars filled in and the slips of the pen put right: quotes, commas, a
//! colon. What the imitated service generates is compared by its form.

mod any_identifier;
mod forgot_password;
mod forgot_password_errors;
mod parameters;
mod passwordless_login;
mod registration;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vestibule::settings::Template;
use vestibule_protocol::purpose::Purpose;

use super::tokens::execute_and_refresh;
use crate::fixture::{Answer, Call, PASSWORD, START, Site};

/// The site of a client with a backend, as the pages write it.
const PRIVATE_HOST: &str = "MyDomainName.my.site.com";
/// The site of a client without one.
const PUBLIC_HOST: &str = "MyExperienceCloudSite.my.site.com";
/// The mail template of the samples.
const TEMPLATE: &str = "unfiled$public/SalesNewCustomerEmail";

/// Gives the demo's two sites the host names of the pages, and the apps their callbacks and scopes.
async fn as_documented(site: &Site) {
    let statements = format!(
        "UPDATE site SET base_url = 'https://{}' WHERE name = 'private';
         UPDATE site SET base_url = 'https://{}' WHERE name = 'public'",
        PRIVATE_HOST.to_lowercase(),
        PUBLIC_HOST.to_lowercase(),
    );
    execute_and_refresh(site, statements).await;
    let private = json!({"callbackUrl": [callback()], "scopes": "openid api"});
    site.update_client(&site.client.id, private).await;
    let public = json!({"callbackUrl": [echo()], "scopes": "openid api"});
    site.update_client(&site.public_client.id, public).await;
}

/// The callback of the private client's server.
fn callback() -> String {
    format!("https://www.{PRIVATE_HOST}/services/apexrest/code/exchange")
}

/// The callback of the public client.
fn echo() -> String {
    format!("https://www.{PUBLIC_HOST}/services/oauth2/echo")
}

/// Saves the samples' template for a flow, and puts it on the list of both sites.
async fn template(site: &Site, flow: Purpose) {
    let template = Template {
        name: TEMPLATE.into(),
        flow,
        language: "en".into(),
        subject: "Sales welcomes a new customer".into(),
        text: "{{ code }} is good for {{ valid_for }}".into(),
        html: None,
        created_at: START,
        updated_at: START,
    };
    assert!(site.save_template(template).await, "it is new");
    for name in ["private", "public"] {
        let listed = json!({
            "isEmailTemplateAllowlistingEnabled": true,
            "isForgotPwdEmailTemplateAllowlistingEnabled": true,
            "emailTmplsAllowlist": [TEMPLATE],
        });
        site.update_settings_of(name, listed).await;
    }
}

/// The integration user's access token, from the private site.
async fn integration_token(site: &Site) -> String {
    let call = Call::printed(&format!(
        "POST /services/oauth2/token HTTP/1.1
         Host: {PRIVATE_HOST}

         grant_type=client_credentials&client_id={}&client_secret={}",
        site.integration.id, site.integration.secret,
    ));
    let answer = site.send(call).await.expect_ok().json();
    text(&answer, "access_token").to_owned()
}

/// A user whose address is verified.
async fn customer(site: &Site, username: &str, email: &str) {
    let token = integration_token(site).await;
    let body = json!({
        "userdata": {"firstName": "Janice", "lastName": "Edwards", "email": email, "username": username},
        "password": PASSWORD,
    });
    let call = Call::printed("POST /services/auth/headless/init/registration HTTP/1.1")
        .host(PRIVATE_HOST)
        .bearer(&token)
        .json(&body);
    let begun = site.send(call).await.expect_ok().json();
    let code = site.code_to(email).await;
    let call = Call::printed("POST /services/oauth2/authorize HTTP/1.1")
        .host(PRIVATE_HOST)
        .header("Auth-Request-Type", "user-registration")
        .basic(text(&begun, "identifier"), &code)
        .form("response_type", "code_credentials")
        .form("client_id", &site.client.id)
        .form("redirect_uri", &callback());
    site.send(call).await.expect_status(302);
}

/// The base64 of the Basic header of a request identifier and its code.
fn identifier_and_code(begun: &Value, code: &str) -> String {
    STANDARD.encode(format!("{}:{code}", text(begun, "identifier")))
}

/// The newest message to a recipient, by its subject and its code.
async fn message(site: &Site, recipient: &str) -> (String, Option<String>) {
    site.deliver().await;
    let message = site.inbox.list(Some(recipient)).pop().expect("a message");
    site.inbox.clear();
    (message.subject.clone(), message.code.clone())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    let member = value.get(name).and_then(Value::as_str);
    member.unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// The headers of every JSON response of the pages.
#[track_caller]
fn assert_json(answer: &Answer) {
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("application/json;charset=UTF-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
}

/// The successful response of an init request: three members, all of them text.
#[track_caller]
fn assert_begun(answer: &Answer, email: &str) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_json(answer);
    let begun = answer.json();
    let identifier = text(&begun, "identifier");
    assert!(identifier.starts_with("0RX"), "{identifier}");
    let expected = json!({"status": "success", "email": email, "identifier": identifier});
    assert_eq!(begun, expected);
    begun
}

/// The printed redirect: the callback with its three parameters in their order; returns the code.
#[track_caller]
fn assert_redirect(answer: &Answer, callback: &str, host: &str) -> String {
    assert_eq!(answer.status, 302, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let location = answer.header("location").expect("a Location header");
    let rest = location.strip_prefix(callback).expect("the callback");
    let code = answer.location_parameter("code");
    let site_id = answer.location_parameter("sfdc_community_id");
    let host = host.to_lowercase();
    let expected =
        format!("?code={code}&sfdc_community_url=https%3A%2F%2F{host}&sfdc_community_id={site_id}");
    assert_eq!(rest, expected);
    assert!(code.starts_with("aPrx") && site_id.starts_with("0DB"));
    code
}

/// The printed token response: exactly its members, and the two that newer releases and RFC 6749 add.
#[track_caller]
fn assert_tokens(answer: &Answer, host: &str) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_json(answer);
    let tokens = answer.json();
    let members = tokens.as_object().expect("an object");
    let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    let printed = [
        "access_token",
        "sfdc_community_url",
        "sfdc_community_id",
        "signature",
        "scope",
        "id_token",
        "instance_url",
        "id",
        "token_type",
        "issued_at",
    ];
    let added = ["token_format", "expires_in"];
    assert_eq!(names, printed.into_iter().chain(added).collect());
    for name in printed {
        assert!(members[name].is_string(), "{name}");
    }
    let base_url = format!("https://{}", host.to_lowercase());
    assert!(text(&tokens, "access_token").starts_with("00D"));
    assert_eq!(text(&tokens, "sfdc_community_url"), base_url);
    assert!(text(&tokens, "sfdc_community_id").starts_with("0DB"));
    assert_eq!(
        STANDARD.decode(text(&tokens, "signature")).unwrap().len(),
        32
    );
    assert_eq!(text(&tokens, "scope"), "openid api");
    assert_eq!(text(&tokens, "id_token").split('.').count(), 3);
    assert_eq!(text(&tokens, "instance_url"), base_url);
    let id = text(&tokens, "id").strip_prefix(&format!("{base_url}/id/00D"));
    assert!(id.is_some_and(|rest| rest.contains("/005")));
    assert_eq!(text(&tokens, "token_type"), "Bearer");
    assert_eq!(text(&tokens, "issued_at"), START.millis().to_string());
    tokens
}

//! "Headless Login Without a Username": its flows, each with the three kinds of discovery handlers. The bodies of
//! the page's flows are those of their own pages; here `login_hint` and `customdata` replace `username`.

mod first_party;

use serde_json::{Value, json};
use vestibule::handler::contract::Contract;

use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases};

/// The user of the flows.
const USERNAME: &str = "janice@example.com";
/// The number in the mail about the order.
const ORDER: &str = "ORD-10023";
/// The number in the message about the case.
const CASE: &str = "CASE-5005";
const PHONE: &str = "+12035550100";

/// What reads a `login_hint`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    BuiltIn,
    Script,
    Webhook,
}

/// The handler of the page: it finds the user of an order or a case, for an app that was here before.
const SCRIPT: &str = r#"
export async function discoverUser({ loginHint, customDataJson }) {
  if (JSON.parse(customDataJson).cookie !== "seen-before") return { userIds: [] };
  for (const kind of ["order", "case"]) {
    const found = await vestibule.identifiers.find({ kind, value: loginHint });
    if (found.length > 0) return { userIds: found.map(({ user }) => user.id) };
  }
  return { userIds: [], customErrorMessage: `there is no ${loginHint}` };
}
"#;

/// A site with orders, and the customer's server, if there is one.
struct Shop {
    user_id: String,
    remote: Option<Remote>,
}

impl Shop {
    /// What the customer's server answers from now on: the user of the hint, or no user.
    fn knows(&self, is_known: bool) {
        let user_ids = if is_known {
            vec![&self.user_id]
        } else {
            vec![]
        };
        if let Some(remote) = &self.remote {
            remote.behave(Behaviour::json(&json!({"userIds": user_ids})));
        }
    }

    /// The last request to the customer's server.
    fn asked(&self) -> Option<Value> {
        let asked = self.remote.as_ref()?.received();
        Some(asked.last().expect("it was asked").json()["argument"].clone())
    }
}

/// A verified customer with an order and a case, and a site that discovers both in one of the ways.
async fn shop(site: &Site, way: Way) -> Shop {
    site.register(USERNAME).await;
    let user = site.user(USERNAME).await.expect("registered");
    site.execute(format!(
        "UPDATE app_user SET phone = '{PHONE}', phone_verified_at = 1 WHERE id = '{}'",
        user.id
    ))
    .await;
    for (kind, value) in [("order", ORDER), ("case", CASE)] {
        site.add_identifier(&user.id, kind, value).await;
    }
    let mut remote = None;
    let handler = match way {
        Way::BuiltIn => "builtin",
        Way::Script => {
            site.set_script("Orders", Contract::DiscoverUser, SCRIPT, &[])
                .await;
            "Orders"
        }
        Way::Webhook => {
            let server = Remote::start(Behaviour::json(&json!({}))).await;
            site.set_webhook("Orders", Contract::DiscoverUser, &server)
                .await;
            remote = Some(server);
            "Orders"
        }
    };
    let settings = json!({
        "headlessDiscoveryHandler": handler,
        "headlessDiscoveryExecutionUser": site.registration_execution_user(),
        "headlessDiscoveryStrategies": ["identifier:order", "identifier:case"],
        "isUserDisambiguationAllowedUsernamePwd": true,
        "isUserDisambiguationAllowedForgotPwd": true,
    });
    for name in ["private", "public"] {
        site.update_settings_of(name, settings.clone()).await;
    }
    let shop = Shop {
        user_id: user.id,
        remote,
    };
    shop.knows(true);
    shop
}

/// "Log in with Any Identifier and a Password": `login_hint` and `customdata` in the body of
/// authorize.
fn password_login(site: &Site, hint: &str, password: &str) -> Call {
    site.public_hint_call(hint, password)
        .form("customdata", r#"{"cookie":"seen-before"}"#)
}

/// Exchanges the code of a redirect and returns the user of the tokens.
async fn logged_in(site: &Site, answer: Answer) -> String {
    let code = answer.expect_status(302).location_parameter("code");
    let tokens = site
        .send(site.public_token_call(&code))
        .await
        .expect_ok()
        .json();
    let userinfo = Call::get("/services/oauth2/userinfo").on_public();
    let userinfo = userinfo.bearer(tokens["access_token"].as_str().expect("a token"));
    let userinfo = site.send(userinfo).await.expect_ok().json();
    userinfo["preferred_username"]
        .as_str()
        .expect("a username")
        .to_owned()
}

async fn order_number_and_password_of(site: &Site, way: Way) {
    let shop = shop(site, way).await;
    let answer = site.send(password_login(site, ORDER, PASSWORD)).await;
    assert_eq!(logged_in(site, answer).await, USERNAME, "{way:?}");
    if let Some(asked) = shop.asked() {
        assert_eq!(
            (&asked["loginHint"], &asked["verificationAction"]),
            (&json!(ORDER), &json!("EMAIL"))
        );
        assert_eq!(asked["customDataJson"], r#"{"cookie":"seen-before"}"#);
        let attributes = &asked["requestAttributes"];
        assert_eq!(
            attributes["CommunityUrl"],
            site.entry("public").site.base_url
        );
        assert!(attributes["IpAddress"].is_string(), "{asked}");
        assert!(!asked.to_string().contains(PASSWORD));
    }
    // A wrong password and an order of no user are answered alike.
    let wrong = site
        .send(password_login(site, ORDER, "Wr0ng-password"))
        .await
        .expect_status(400);
    shop.knows(false);
    let unknown = site
        .send(password_login(site, "ORD-99999", PASSWORD))
        .await
        .expect_status(400);
    assert_eq!(wrong.body, unknown.body);
    assert_eq!(
        wrong.json(),
        json!({"error": "invalid_grant", "error_description": "authentication failure"})
    );
}

async fn a_number_and_a_one_time_password(site: &Site, way: Way, number: &str, method: &str) {
    let shop = shop(site, way).await;
    let begin = |hint: &str| {
        let body = json!({"verificationmethod": method, "login_hint": hint,
            "customdata": {"cookie": "seen-before"}, "recaptcha": "test-pass"});
        Call::post("/services/auth/headless/init/passwordless/login")
            .on_public()
            .json(&body)
    };
    let begun = site.send(begin(number)).await.expect_ok().json();
    assert_eq!(begun["status"], "success");
    assert_eq!(
        begun.get("email"),
        None,
        "nothing that the caller did not send"
    );
    let recipient = if method == "sms" { PHONE } else { USERNAME };
    let code = site.code_to(recipient).await;
    let proof = site
        .public_authorize_call(
            "passwordless-login",
            begun["identifier"].as_str().unwrap(),
            &code,
        )
        .without_header("auth-verification-type")
        .header("auth-verification-type", method);
    let answer = site.send(proof).await;
    assert_eq!(logged_in(site, answer).await, USERNAME, "{way:?}");
    if let Some(asked) = shop.asked() {
        assert_eq!(asked["verificationAction"], method.to_uppercase());
    }
    // The number of no user gets the same answer, and no message.
    shop.knows(false);
    let unknown = site.send(begin("ORD-99999")).await.expect_ok().json();
    let members = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(members(&unknown), members(&begun));
    site.deliver().await;
    site.inbox.clear();
}

async fn order_number_and_a_new_password(site: &Site, way: Way) {
    const NEW_PASSWORD: &str = "Another-Pa55word";
    let _shop = shop(site, way).await;
    let send = |mut body: Value| {
        body["login_hint"] = json!(ORDER);
        // As a JSON string, as the table of the page has it.
        body["customdata"] = json!(r#"{"cookie":"seen-before"}"#);
        Call::post("/services/auth/headless/forgot_password")
            .on_public()
            .json(&body)
    };
    let asked = site
        .send(send(json!({"recaptcha": "test-pass"})))
        .await
        .expect_ok();
    assert_eq!(
        asked.body,
        r#"{"status":"success","status_code":"otp_sent"}"#
    );
    let code = site.code_to(USERNAME).await;
    let chosen = site
        .send(send(json!({"otp": code, "newpassword": NEW_PASSWORD})))
        .await
        .expect_ok();
    assert_eq!(
        chosen.body,
        r#"{"status":"success","status_code":"success"}"#
    );
    site.deliver().await;
    site.inbox.clear();
    let answer = site.send(password_login(site, ORDER, NEW_PASSWORD)).await;
    assert_eq!(logged_in(site, answer).await, USERNAME, "{way:?}");
    site.send(password_login(site, ORDER, PASSWORD))
        .await
        .expect_status(400);
}

/// The four flows, in one way.
macro_rules! stories {
    ($name:ident, $way:expr) => {
        mod $name {
            use super::*;

            on_both_databases! {
                async fn order_number_and_password(site: Site) {
                    order_number_and_password_of(&site, $way).await;
                }
            }
            on_both_databases! {
                async fn order_number_and_one_time_password(site: Site) {
                    a_number_and_a_one_time_password(&site, $way, ORDER, "email").await;
                }
            }
            on_both_databases! {
                async fn order_number_reset(site: Site) {
                    order_number_and_a_new_password(&site, $way).await;
                }
            }
            on_both_databases! {
                async fn first_party_at_the_documented_endpoint(site: Site) {
                    first_party::at_the_documented_endpoint(&site, $way).await;
                }
            }
            on_both_databases! {
                async fn first_party_at_the_standard_endpoint(site: Site) {
                    first_party::at_the_standard_endpoint(&site, $way).await;
                }
            }
            on_both_databases! {
                async fn case_number_by_sms(site: Site) {
                    a_number_and_a_one_time_password(&site, $way, CASE, "sms").await;
                }
            }
        }
    };
}

stories!(built_in, Way::BuiltIn);
stories!(script, Way::Script);
stories!(webhook, Way::Webhook);

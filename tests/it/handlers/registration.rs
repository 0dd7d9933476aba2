//! `createUser` at the end of a registration, as a script and as a webhook.

use serde_json::{Value, json};
use vestibule::handler::contract::Contract;
use vestibule::handler::record::RecordedOutcome;
use vestibule::identity::Account;
use vestibule::store;

use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Answer, PASSWORD, START, Site, on_both_databases, registration};

const SCRIPT: &str = r#"
export async function createUser({ profileId, data, customUserDataMap, experienceId, password }) {
  const custom = JSON.parse(customUserDataMap);
  if (password !== null) throw new Error("a handler must not see a password");
  if (custom.refuse) throw new CountryException("not to " + custom.refuse);
  if (custom.answer !== undefined) return custom.answer;
  const [known] = await vestibule.accounts.find({ name: "ACME" });
  return vestibule.users.create({
    profileId,
    username: data.username,
    firstName: data.firstName.toUpperCase(),
    lastName: data.lastName,
    phone: "+1 203 555 0100",
    timezone: "europe/berlin",
    attributes: { department: data.attributeMap.department, site: experienceId },
    account: known ? null : vestibule.accounts.create({ name: "ACME" }),
    accountId: known ? known.id : null,
  });
}
class CountryException extends Error { name = "CountryException"; }
"#;

async fn with_script(site: &Site) {
    site.set_script("Customers", Contract::CreateUser, SCRIPT, &[])
        .await;
    site.update_settings(json!({"registrationHandler": "Customers"}))
        .await;
}

async fn with_webhook(site: &Site, answer: &Value) -> Remote {
    let remote = Remote::start(Behaviour::json(answer)).await;
    site.set_webhook("Customers", Contract::CreateUser, &remote)
        .await;
    site.update_settings(json!({"registrationHandler": "Customers"}))
        .await;
    remote
}

/// Registers a user with `customdata` up to authorize.
async fn register(site: &Site, username: &str, email: &str, customdata: Value) -> Answer {
    let mut body = registration(username);
    body["userdata"]["email"] = json!(email);
    body["userdata"]["department"] = json!("Sales");
    body["customdata"] = customdata;
    let begun = site.init(&body).await.expect_ok().json();
    let code = site.code_to(email).await;
    let call = site.authorize_call(begun["identifier"].as_str().unwrap(), &code);
    site.send(call).await
}

/// Expects the documented failure, and that no user was made.
async fn expect_failed(site: &Site, username: &str, answer: Answer, apex_error: &str) {
    let refused = answer.expect_status(400).json();
    let expected = json!({"error": "registration_error",
        "error_description": "user was unable to be created in apex", "apex_error": apex_error});
    assert_eq!(refused, expected);
    assert!(site.user(username).await.is_none(), "{username}");
}

on_both_databases! {
    async fn a_script_decides_the_data_of_a_new_user(site: Site) {
        with_script(&site).await;
        let answer = register(&site, "janice@example.com", "janice@example.com", json!({"a": 1})).await;
        let code = answer.expect_status(302).location_parameter("code");
        site.send(site.token_call(&code)).await.expect_ok();
        let janice = site.user("janice@example.com").await.unwrap();
        assert_eq!((janice.first_name.as_deref(), janice.timezone.as_str()), (Some("JANICE"), "Europe/Berlin"));
        assert_eq!((janice.phone.as_deref(), janice.phone_verified_at), (Some("+12035550100"), None));
        assert_eq!(janice.attributes["department"], "Sales");
        assert!(janice.email_verified_at.is_some() && janice.account_id.is_some());
        // The password is the one that was sent; the handler did not receive it.
        site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(302);
        // The second registration finds the account of the first.
        register(&site, "jo@example.com", "jo@example.com", json!({"a": 1})).await.expect_status(302);
        assert_eq!(site.user("jo@example.com").await.unwrap().account_id, janice.account_id);
        let (call, record) = site.handler_calls().await.remove(0);
        assert_eq!((call.outcome.as_str(), call.version), ("ok", 1));
        assert!(!serde_json::to_string(&record).unwrap().contains(PASSWORD));
    }
}

on_both_databases! {
    async fn a_webhook_decides_the_data_of_a_new_user(site: Site) {
        let remote = with_webhook(&site, &json!({"firstName": "Jan", "account": {"name": "ACME", "create": true}})).await;
        register(&site, "janice@example.com", "janice@example.com", json!({"plan": "gold"})).await.expect_status(302);
        let janice = site.user("janice@example.com").await.unwrap();
        assert_eq!(janice.first_name.as_deref(), Some("Jan"));
        let asked = remote.only_request();
        assert!(!asked.body.contains(PASSWORD) && !asked.body.contains("argon2"), "{}", asked.body);
        let argument = &asked.json()["argument"];
        assert_eq!(argument["data"]["email"], "janice@example.com");
        assert_eq!(argument["data"]["attributeMap"]["department"], "Sales");
        assert_eq!((&argument["customUserDataMap"], &argument["password"]), (&json!(r#"{"plan":"gold"}"#), &json!(null)));
        assert_eq!(argument["experienceId"], site.entry("private").site.id);
    }
}

on_both_databases! {
    async fn conf_22_a_handler_that_fails_leaves_no_user_and_the_app_gets_the_reason(site: Site) {
        with_script(&site).await;
        let answer = register(&site, "a@example.com", "a@example.com", json!({"refuse": "Mars"})).await;
        expect_failed(&site, "a@example.com", answer, "CountryException: not to Mars").await;
        // The same request cannot be continued.
        assert_eq!(site.count("SELECT COUNT(*) FROM challenge WHERE closed_at IS NULL").await, 0);
        // A deleted handler fails closed, and discloses nothing about the server.
        site.execute("DELETE FROM handler_version; DELETE FROM handler; UPDATE installation SET version = version + 1").await;
        site.app.refresh().await.unwrap();
        let answer = register(&site, "b@example.com", "b@example.com", json!({"a": 1})).await;
        expect_failed(&site, "b@example.com", answer, "HandlerException: the handler is not available").await;
    }
}

on_both_databases! {
    async fn hnd_08_a_webhook_that_fails_in_any_way_leaves_nothing(site: Site) {
        let remote = with_webhook(&site, &json!({})).await;
        for (number, behaviour) in [
            Behaviour::status(500),
            Behaviour::json(&json!(null)),
            Behaviour::json(&json!({"isAdmin": true})),
            Behaviour::HalfAnswer("{".into()),
            Behaviour::Answer(302, "location: http://127.0.0.1/\r\n", String::new()),
        ].into_iter().enumerate() {
            remote.behave(behaviour);
            let name = format!("u{number}@example.com");
            let refused = register(&site, &name, &name, json!({"a": 1})).await.expect_status(400).json();
            assert_eq!(refused["error"], "registration_error", "{number}");
            assert!(site.user(&name).await.is_none());
        }
        remote.behave(Behaviour::Answer(422, "content-type: application/json\r\n", r#"{"error":"no more room"}"#.into()));
        let refused = register(&site, "v@example.com", "v@example.com", json!({"a": 1})).await.expect_status(400).json();
        assert!(refused["apex_error"].as_str().unwrap().ends_with("no more room"), "{refused}");
        assert_eq!(site.count("SELECT COUNT(*) FROM account").await, 0);
    }
}

on_both_databases! {
    async fn hnd_05_an_existing_user_is_only_accepted_with_the_verified_address(site: Site) {
        site.register("janice@example.com").await;
        site.register("victim@example.com").await;
        with_script(&site).await;
        let janice = site.user("janice@example.com").await.unwrap();
        let victim = site.user("victim@example.com").await.unwrap().id;
        let service = site.registration_execution_user().unwrap();
        for (number, id) in [victim.as_str(), &service, "005000000000001AAA", "'; --"].into_iter().enumerate() {
            let name = format!("thief{number}@example.com");
            let answer = register(&site, &name, &name, json!({"answer": {"id": id}})).await;
            let apex_error = "SecurityException: the user that createUser returned has not proven the registrant's address or number";
            expect_failed(&site, &name, answer, apex_error).await;
        }
        // She registers again with her address under another name, and gets her existing user.
        let answer = register(&site, "again@example.com", "janice@example.com", json!({"answer": {"id": janice.id}})).await;
        let code = answer.expect_status(302).location_parameter("code");
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        assert!(tokens["id"].as_str().unwrap().ends_with(&janice.id));
        assert!(site.user("again@example.com").await.is_none());
        site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(302);
        // Not while she is locked, although the address is hers.
        site.execute("UPDATE app_user SET locked_at = 1 WHERE username = 'janice@example.com'").await;
        let answer = register(&site, "again@example.com", "janice@example.com", json!({"answer": {"id": janice.id}})).await;
        assert_eq!(answer.expect_status(400).json()["error"], "registration_error");
    }
}

on_both_databases! {
    async fn hnd_09_a_handler_gives_no_right_away(site: Site) {
        with_script(&site).await;
        for (number, answer) in [
            json!({"profileId": "00e000000000009AAA"}),
            json!({"username": "admin@example.com"}),
            json!({"emailVerified": true}),
            json!({"attributes": {"role": "admin"}}),
            json!({"accountId": "001000000000001AAA"}),
            json!([]),
            json!("user"),
            json!(null),
        ].into_iter().enumerate() {
            let name = format!("u{number}@example.com");
            let customdata = json!({ "answer": answer });
            let answered = register(&site, &name, &name, customdata.clone()).await;
            assert_eq!(answered.expect_status(400).json()["error"], "registration_error", "{customdata}");
            assert!(site.user(&name).await.is_none());
        }
        let calls = site.handler_calls().await;
        assert!(calls.iter().any(|(_, record)| matches!(&record.outcome, RecordedOutcome::Error { exception, .. } if exception == "TypeException")));
    }
}

on_both_databases! {
    async fn hnd_05_an_account_is_one_that_the_run_as_user_may_see(site: Site) {
        site.update_settings(json!({"registrationAccount": {"rule": "none"}})).await;
        for (id, name) in [("001000000000001AAA", "OWN"), ("001000000000002AAA", "OTHER")] {
            let account = Account { id: id.into(), name: name.into(), created_at: START };
            site.app.store.write("account.insert", account, |tx, account| Box::pin(store::account::insert(tx, account))).await.unwrap();
        }
        // The handler runs with the rights of a customer, who sees their own account.
        site.register("partner@example.com").await;
        let partner = site.user("partner@example.com").await.unwrap().id;
        site.execute(format!("UPDATE app_user SET account_id = '001000000000001AAA' WHERE id = '{partner}'")).await;
        with_script(&site).await;
        site.update_settings(json!({"registrationExecutionUser": partner})).await;
        for (number, answer) in [
            json!({"account": {"name": "OTHER", "create": false}}),
            json!({"account": {"name": "OTHER", "create": true}}),
            json!({"account": {"name": "NEW", "create": true}}),
            json!({"accountId": "001000000000002AAA"}),
        ].into_iter().enumerate() {
            let name = format!("u{number}@example.com");
            let answered = register(&site, &name, &name, json!({ "answer": answer })).await;
            expect_failed(&site, &name, answered, "AccountException: the account does not exist").await;
        }
        let own = json!({"answer": {"account": {"name": "own"}}});
        register(&site, "jo@example.com", "jo@example.com", own).await.expect_status(302);
        assert_eq!(site.user("jo@example.com").await.unwrap().account_id.as_deref(), Some("001000000000001AAA"));
        assert_eq!(site.count("SELECT COUNT(*) FROM account").await, 2);
    }
}

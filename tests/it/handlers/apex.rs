//! The scripts of the page that translates Apex handlers, unchanged, on every case that the page describes.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule::handler::contract::Contract;
use vestibule::handler::fixture::Fixture;
use vestibule::handler::record::RecordedOutcome;
use vestibule::handler::replay;
use vestibule::handler::script::{Program, ScriptCall, ScriptEngine, ScriptLimits};

use crate::fixture::START;

const PAGE: &str = include_str!("../../../docs/how-to/translate-an-apex-handler.md");

/// A script of the page.
fn script(name: &str) -> &'static str {
    let start = format!("```js {name}\n");
    let at = PAGE.find(&start).expect("a script") + start.len();
    let length = PAGE[at..].find("```").expect("its end");
    &PAGE[at..at + length]
}

async fn judge(contract: Contract, name: &str, fixtures: Value) {
    let engine = ScriptEngine::new(ScriptLimits::default()).unwrap();
    let program = Program::compile(&engine, name, script(name)).await.unwrap();
    let program = Arc::new(program);
    let fixtures = Fixture::parse(&fixtures.to_string()).unwrap();
    for fixture in fixtures {
        assert!(fixture.expect.is_some(), "{}", fixture.argument);
        let call = ScriptCall {
            function: contract.as_str(),
            argument: fixture.argument.clone(),
            at: START,
            seed: [1; 32],
        };
        let ran = engine.run(&program, call, Arc::new(fixture.clone())).await;
        let outcome = RecordedOutcome::of(&replay::outcome(contract, &ran));
        let problems = fixture.judge(contract, &outcome);
        assert!(problems.is_empty(), "{}: {problems:?}", fixture.argument);
    }
}

#[tokio::test]
async fn the_registration_of_the_page_fills_in_what_is_missing_and_shares_an_account() {
    let argument = |first: Value, locale: Value, custom: Value| {
        json!({"profileId": "00e000000000001AAA", "experienceId": "0DB000000000001AAA", "password": null,
            "customUserDataMap": custom, "data": {"firstName": first, "lastName": "Edwards", "locale": locale,
                "email": "janice@example.com", "username": "janice@example.com",
                "attributeMap": {"department": "Sales"}}})
    };
    let account = json!({"name": "My Account", "create": true});
    judge(Contract::CreateUser, "registration", json!([
        {"argument": argument(json!("Janice"), json!("de_DE"), json!("{\"mobilePhone\":\"+12035550100\"}")),
            "expect": {"result": {"profileId": "00e000000000001AAA", "firstName": "Janice", "lastName": "Edwards",
                "locale": "de_DE", "timezone": "America/Los_Angeles", "phone": "+12035550100", "account": account,
                "attributes": {"department": "Sales"}}}},
        {"argument": argument(json!(null), json!(null), json!(null)),
            "expect": {"result": {"firstName": "change-me", "locale": "en_US", "phone": null, "account": account}}},
    ])).await;
}

#[tokio::test]
async fn the_discovery_script_of_the_page_returns_every_documented_message() {
    let users = json!([
        {"id": "005a", "email": "janice@example.com", "emailVerified": true, "phone": "+12035550100", "phoneVerified": true},
        {"id": "005b", "email": "unproven@example.com", "phone": "+12035550101"},
        {"id": "005c", "email": "family@example.com", "emailVerified": true, "phone": "+12035550102", "phoneVerified": true},
        {"id": "005d", "email": "family@example.com", "emailVerified": true, "phone": "+12035550102", "phoneVerified": true},
        {"id": "005e", "email": "gone@example.com", "emailVerified": true, "active": false},
        {"id": "005f", "email": "moved@example.com", "emailVerified": true, "active": false},
        {"id": "005g", "email": "moved@example.com", "emailVerified": true},
    ]);
    let says = |message: &str| json!({"userIds": [], "customErrorMessage": message});
    let finds = |id: &str| json!({ "userIds": [id] });
    let cases = [
        ("janice@example.com", "EMAIL", finds("005a")),
        ("Janice@Example.com", "EMAIL", finds("005a")),
        ("moved@example.com", "EMAIL", finds("005g")),
        ("+1 203 555 0100", "SMS", finds("005a")),
        ("(203) 555-0100", "SMS", finds("005a")),
        (
            "nonsense",
            "EMAIL",
            says("Invalid email sent as loginHint: nonsense"),
        ),
        (
            "nonsense",
            "SMS",
            says("Invalid phone number sent as loginHint: nonsense"),
        ),
        (
            "who@example.com",
            "EMAIL",
            says("No user identified for the email: who@example.com"),
        ),
        (
            "gone@example.com",
            "EMAIL",
            says("No user identified for the email: gone@example.com"),
        ),
        (
            "family@example.com",
            "EMAIL",
            says("Multiple users identified for the email: family@example.com"),
        ),
        (
            "unproven@example.com",
            "EMAIL",
            says("Email unproven@example.com not verified for the given user account"),
        ),
        (
            "+12035550199",
            "SMS",
            says("No user identified for the phone number: +12035550199"),
        ),
        (
            "2035550102",
            "SMS",
            says("Multiple users identified for the phone number: 2035550102"),
        ),
        (
            "+12035550101",
            "SMS",
            says("Phone number +12035550101 not verified for the given user account"),
        ),
    ];
    let fixtures: Value = cases
        .into_iter()
        .map(|(hint, action, result)| {
            json!({"argument": {"networkId": "0DB", "loginHint": hint, "verificationAction": action,
                "customDataJson": null, "requestAttributes": {}}, "users": users, "expect": {"result": result}})
        })
        .collect();
    judge(Contract::DiscoverUser, "discovery", fixtures).await;
}

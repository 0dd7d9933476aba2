//! Calls of handlers from a flow: which version runs, which users it sees, what is recorded, and that a replay has
//! the same result.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule::admin::seed;
use vestibule::app::Visit;
use vestibule::app::handlers::open_record;
use vestibule::contract::CallOutcome;
use vestibule::handler::HandlerError;
use vestibule::handler::body::Body;
use vestibule::handler::contract::Contract;
use vestibule::handler::fixture::Fixture;
use vestibule::handler::record::{CallRecord, REMOVED, RecordedOutcome};
use vestibule::handler::replay::{self, replay};
use vestibule::handler::script::{Program, ScriptCall};
use vestibule::handler::types;
use vestibule::identity::external_identifier::ExternalIdentifier;
use vestibule::identity::{Account, User};
use vestibule::store;
use vestibule::store::handler::{Handler, HandlerVersion};
use vestibule::store::handler_call::{self, Filter, HandlerCall};

use crate::fixture::{START, Site, changed, on_both_databases, on_sqlite};

const ID: &str = "01p000000000001AAA";

/// Creates the next version of the handler `mine`, as `vestibule handler create` and `set` do.
async fn put(site: &Site, contract: Contract, body: Body) {
    let input = (contract, body);
    site.change(input, |tx, (contract, body)| {
        Box::pin(async move {
            let versions = store::handler::list_versions(tx, ID).await?;
            let number = versions.last().map_or(1, |last| last.version + 1);
            let version = HandlerVersion {
                handler_id: ID.to_owned(),
                version: number,
                body: body.to_text(),
                created_at: START,
            };
            if number > 1 {
                store::handler::insert_version(tx, &version).await?;
                store::handler::set_current(tx, ID, number, START).await?;
                return changed(());
            }
            let handler = Handler {
                id: ID.to_owned(),
                name: String::from("mine"),
                contract: *contract,
                kind: body.kind(),
                version: 1,
                secret_sealed: None,
                created_at: START,
                updated_at: START,
            };
            store::handler::insert(tx, &handler, &version).await?;
            changed(())
        })
    })
    .await;
}

async fn put_script(site: &Site, contract: Contract, source: &str) {
    let body = Body::Script {
        source: source.to_owned(),
        allowed_hosts: Vec::new(),
    };
    put(site, contract, body).await;
}

fn visit(site: &Site) -> Visit {
    Visit {
        asked: String::new(),
        site: site.entry(seed::PRIVATE),
        at: site.app.now(),
        ip: "203.0.113.7".parse().unwrap(),
        location: vestibule::app::ClientLocation::default(),
        user_agent: None,
        request_id: String::from("req-1"),
        endpoint: "test",
        client: vestibule::app::SeenClient::default(),
    }
}

/// The integration user of the demo, the *Run As* user of its sites' handlers.
fn run_as(site: &Site) -> String {
    let settings = &site.entry(seed::PRIVATE).site.settings;
    settings
        .registration_execution_user
        .clone()
        .expect("a user to run as")
}

async fn call(site: &Site, contract: Contract, argument: Value) -> Result<Value, HandlerError> {
    let run_as = run_as(site);
    let visit = visit(site);
    site.app
        .call_handler(&visit, "mine", contract, &run_as, argument)
        .await
}

/// Calls a script that returns what it found.
async fn ask(site: &Site, question: Value) -> Result<Value, HandlerError> {
    let answer = call(site, Contract::DiscoverUser, question).await;
    answer.map(|mut answer| answer["userIds"].take())
}

/// Finds users, accounts or identifiers, and returns their ids.
const FIND: &str = "export async function discoverUser({ users, accounts, identifiers }) {
    const ids = async () => {
        if (users) return (await vestibule.users.find(users)).map((user) => user.id);
        if (accounts) return (await vestibule.accounts.find(accounts)).map((account) => account.id);
        return (await vestibule.identifiers.find(identifiers)).map((found) => found.user.id);
    };
    return { userIds: await ids() };
}";

async fn calls(site: &Site) -> Vec<HandlerCall> {
    let filter = Filter {
        limit: 100,
        ..Filter::default()
    };
    let calls = site.app.store.read("test.read", &filter, |tx, filter| {
        Box::pin(handler_call::list(tx, filter))
    });
    calls.await.unwrap()
}

async fn last_record(site: &Site) -> CallRecord {
    let calls = calls(site).await;
    let last = calls.iter().max_by_key(|call| &call.id).expect("a call");
    open_record(
        &site.app.keyring,
        if calls.len() == 1 { &calls[0] } else { last },
    )
    .unwrap()
}

async fn save(site: &Site, user: User) {
    let saved = site.app.store.write("test.write", user, |tx, user| {
        Box::pin(store::user::insert(tx, user))
    });
    assert!(saved.await.unwrap());
}

/// A customer like the registered one, with another name.
fn another(user: &User, number: u32) -> User {
    User {
        id: format!("0050000000{number:05}AAA"),
        username: format!("other{number}@example.com"),
        username_key: format!("other{number}@example.com"),
        ..user.clone()
    }
}

on_both_databases! {
    async fn a_script_finds_users_accounts_and_identifiers(site: Site) {
        site.register("janice@example.com").await;
        let janice = site.user("janice@example.com").await.unwrap();
        let account = Account { id: String::from("001000000000001AAA"), name: String::from("ACME"), created_at: START };
        let identifier = ExternalIdentifier {
            kind: String::from("order"), value: String::from("ORD-1"), user_id: janice.id.clone(), created_at: START,
        };
        site.change((account, identifier), |tx, (account, identifier)| Box::pin(async move {
            store::account::insert(tx, account).await?;
            changed(store::external_identifier::insert(tx, identifier, "ord-1").await?)
        })).await;
        put_script(&site, Contract::DiscoverUser, FIND).await;
        for (question, found) in [
            (json!({"users": {"username": "JANICE@example.com"}}), json!([janice.id])),
            (json!({"users": {"email": "Janice@Example.com"}}), json!([janice.id])),
            (json!({"users": {"id": janice.id}}), json!([janice.id])),
            (json!({"users": {"email": "unknown@example.com"}}), json!([])),
            (json!({"users": {"phone": "nonsense"}}), json!([])),
            (json!({"accounts": {"name": " acme "}}), json!(["001000000000001AAA"])),
            (json!({"accounts": {"id": "001000000000001AAA"}}), json!(["001000000000001AAA"])),
            (json!({"accounts": {"name": "other"}}), json!([])),
            (json!({"identifiers": {"kind": "order", "value": " ord-1 "}}), json!([janice.id])),
            (json!({"identifiers": {"kind": "case", "value": "ORD-1"}}), json!([])),
        ] {
            assert_eq!(ask(&site, question.clone()).await, Ok(found), "{question}");
        }
        // A user in a script has no credentials.
        put_script(&site, Contract::DiscoverUser, "export async function discoverUser() {
            const [user] = await vestibule.users.find({ username: 'janice@example.com' });
            return { customErrorMessage: JSON.stringify(user) };
        }").await;
        let seen = call(&site, Contract::DiscoverUser, json!({})).await.unwrap();
        let seen: Value = serde_json::from_str(seen["customErrorMessage"].as_str().unwrap()).unwrap();
        let expected = types::DECLARATIONS.split("interface SeenUser {").nth(1).unwrap();
        assert_eq!(seen["emailVerified"], true);
        for name in seen.as_object().unwrap().keys() {
            assert!(expected.contains(&format!("{name}:")), "{name}");
        }
    }
}

on_sqlite! {
    async fn hnd_05_a_service_or_a_user_of_another_account_is_never_found(site: Site) {
        site.register("janice@example.com").await;
        let janice = site.user("janice@example.com").await.unwrap();
        put_script(&site, Contract::DiscoverUser, FIND).await;
        let service = run_as(&site);
        let service_name = seed::INTEGRATION_USERNAME;
        for question in [json!({"users": {"id": service}}), json!({"users": {"username": service_name}})] {
            assert_eq!(ask(&site, question).await, Ok(json!([])), "the integration user");
        }
        // A customer as the *Run As* user sees only the users of their account.
        let account = Account { id: String::from("001000000000001AAA"), name: String::from("ACME"), created_at: START };
        site.app.store.write("test.write", account, |tx, account| Box::pin(store::account::insert(tx, account))).await.unwrap();
        let own = Some(String::from("001000000000001AAA"));
        let (partner, colleague) = (another(&janice, 1), another(&janice, 2));
        save(&site, User { account_id: own.clone(), ..partner.clone() }).await;
        save(&site, User { account_id: own, ..colleague.clone() }).await;
        let visit = visit(&site);
        let by = async |question: Value| {
            let contract = Contract::DiscoverUser;
            let answer = site.app.call_handler(&visit, "mine", contract, &partner.id, question).await;
            answer.map(|mut answer| answer["userIds"].take())
        };
        assert_eq!(by(json!({"users": {"id": colleague.id}})).await, Ok(json!([colleague.id])));
        assert_eq!(by(json!({"users": {"id": janice.id}})).await, Ok(json!([])));
        assert_eq!(by(json!({"accounts": {"name": "ACME"}})).await, Ok(json!(["001000000000001AAA"])));
    }
}

on_sqlite! {
    async fn more_than_fifty_users_are_an_error_and_not_some_of_them(site: Site) {
        site.register("janice@example.com").await;
        let janice = site.user("janice@example.com").await.unwrap();
        for number in 1..50 {
            save(&site, another(&janice, number)).await;
        }
        put_script(&site, Contract::DiscoverUser, FIND).await;
        let question = json!({"users": {"email": "janice@example.com"}});
        let found = ask(&site, question.clone()).await.unwrap();
        assert_eq!(found.as_array().unwrap().len(), 50);
        save(&site, another(&janice, 50)).await;
        let error = ask(&site, question).await.unwrap_err();
        assert_eq!(error.apex_error(), "LimitException: users.find found more than 50");
    }
}

on_sqlite! {
    async fn a_handler_with_an_inactive_run_as_user_is_not_called(site: Site) {
        put_script(&site, Contract::DiscoverUser, FIND).await;
        let visit = visit(&site);
        let by = async |user: &str| {
            let called = site.app.call_handler(&visit, "mine", Contract::DiscoverUser, user, json!({})).await;
            called.unwrap_err().exception
        };
        assert_eq!(by("005000000000099AAA").await, "ExecutionUserException");
        let id = run_as(&site);
        site.execute(format!("UPDATE app_user SET locked_at = 1 WHERE id = '{id}'")).await;
        assert_eq!(by(&id).await, "ExecutionUserException");
        assert!(calls(&site).await.is_empty(), "what was not called is not recorded");
    }
}

on_both_databases! {
    async fn hnd_06_a_handler_that_is_missing_or_of_no_use_is_refused_and_health_names_it(site: Site) {
        let missing = ask(&site, json!({})).await.unwrap_err();
        assert_eq!(missing.apex_error(), "HandlerException: the handler is not available");
        put_script(&site, Contract::DiscoverUser, "export function discoverUser() {").await;
        let broken = ask(&site, json!({})).await.unwrap_err();
        assert_eq!(broken.apex_error(), missing.apex_error(), "the app learns no more");
        assert!(broken.detail.unwrap().contains("version 1"));
        assert_eq!(site.app.directory().handler_problems(), ["handler mine version 1 cannot be used"]);
        // A handler of another contract is not used.
        put_script(&site, Contract::DiscoverUser, "export function discoverUser() { return {}; }").await;
        assert!(site.app.directory().handler_problems().is_empty());
        let other = call(&site, Contract::CreateUser, json!({})).await.unwrap_err();
        assert!(other.detail.unwrap().contains("no createUser handler"));
        // A site that names no usable handler is reported too.
        site.force_settings_of("private", json!({"registrationHandler": "mine"})).await;
        let problems = site.app.directory().handler_problems().to_vec();
        assert_eq!(problems, ["registrationHandler of site private names no createUser handler"]);
    }
}

on_sqlite! {
    async fn hnd_12_a_call_sees_one_version_however_often_it_is_replaced(site: Site) {
        let version = |number: u32| format!(
            "const first = {number};
            export async function discoverUser() {{
                await vestibule.users.find({{ id: 'x' }});
                return {{ userIds: [`${{first}}`, '{number}'] }};
            }}"
        );
        put_script(&site, Contract::DiscoverUser, &version(1)).await;
        for number in 2..12 {
            let callers = async {
                for _ in 0..20 {
                    let seen = ask(&site, json!({})).await.expect("no call fails");
                    assert_eq!(seen[0], seen[1]);
                    let seen: i32 = seen[0].as_str().unwrap().parse().unwrap();
                    assert!(seen == number - 1 || seen == number, "{seen} while {number} came");
                }
            };
            let replaced = version(u32::try_from(number).unwrap());
            tokio::join!(callers, put_script(&site, Contract::DiscoverUser, &replaced));
            assert_eq!(ask(&site, json!({})).await, Ok(json!([number.to_string(), number.to_string()])));
        }
    }
}

on_sqlite! {
    async fn an_unchanged_script_is_not_compiled_again(site: Site) {
        put_script(&site, Contract::DiscoverUser, FIND).await;
        let program = |site: &Site| match &site.app.directory().handler("mine").unwrap().code {
            vestibule::app::handlers::Code::Script { program, .. } => Arc::clone(program),
            _ => panic!("a script"),
        };
        let before = program(&site);
        site.update_settings(json!({"displayName": "Example"})).await;
        assert!(Arc::ptr_eq(&before, &program(&site)));
        put_script(&site, Contract::DiscoverUser, FIND).await;
        assert!(!Arc::ptr_eq(&before, &program(&site)), "a new version is");
    }
}

on_both_databases! {
    async fn a_call_is_recorded_with_what_it_asked_and_without_secrets(site: Site) {
        site.register("janice@example.com").await;
        put_script(&site, Contract::DiscoverUser, "export async function discoverUser({ loginHint, customDataJson }) {
            const { apiToken } = JSON.parse(customDataJson);
            const users = await vestibule.users.find({ email: loginHint });
            vestibule.log('found', users.length, 'with', apiToken);
            return { userIds: users.map((user) => user.id), customErrorMessage: apiToken };
        }").await;
        let argument = json!({"loginHint": "janice@example.com", "customDataJson": "{\"apiToken\":\"tk-5ecretvalue\"}"});
        let answered = call(&site, Contract::DiscoverUser, argument).await.unwrap();
        assert_eq!(answered["customErrorMessage"], "tk-5ecretvalue", "the script itself has it");

        let recorded = calls(&site).await;
        let [row] = &recorded[..] else { panic!("one call: {recorded:?}") };
        assert_eq!((row.version, row.outcome.as_str(), row.request_id.as_deref()), (1, "ok", Some("req-1")));
        assert_eq!((row.handler_id.as_str(), row.contract.as_str()), (ID, "discoverUser"));
        assert!(row.wall_micros > 0 && row.cpu_micros > 0);
        let sealed = String::from_utf8_lossy(&row.sealed).into_owned();
        assert!(!sealed.contains("janice") && !sealed.contains("tk-5ecretvalue"), "it rests sealed");

        let record = last_record(&site).await;
        assert!(!serde_json::to_string(&record).unwrap().contains("tk-5ecretvalue"));
        assert_eq!(record.argument["loginHint"], "janice@example.com");
        assert_eq!(record.log, [json!(format!("found 1 with {REMOVED}"))]);
        assert_eq!(record.questions.len(), 1);
        assert_eq!(record.questions[0].name, "users.find");
        assert_eq!(record.run_as, Some(run_as(&site)));
        assert!(record.removed.contains(&String::from("/argument/customDataJson/apiToken")), "{:?}", record.removed);
    }
}

on_sqlite! {
    async fn hnd_08_a_call_that_throws_is_recorded_and_leaves_nothing_else(site: Site) {
        put_script(&site, Contract::CreateUser, "export function createUser({ data }) {
            vestibule.users.create({ lastName: 'Edwards' });
            throw new RangeError('no ' + data);
        }").await;
        let error = call(&site, Contract::CreateUser, json!({"data": "luck"})).await.unwrap_err();
        assert_eq!(error.apex_error(), "RangeError: no luck");
        assert_eq!(calls(&site).await[0].outcome, CallOutcome::Failed);
        let expected = RecordedOutcome::Error { exception: "RangeError".into(), message: "no luck".into() };
        assert_eq!(last_record(&site).await.outcome, expected);
        assert!(site.user("edwards").await.is_none());
        assert_eq!(site.count("SELECT COUNT(*) FROM app_user").await, 1, "the integration user");
    }
}

on_sqlite! {
    async fn a_record_that_is_too_large_is_kept_in_part_and_not_replayed(site: Site) {
        put_script(&site, Contract::DiscoverUser, "export async function discoverUser({ long }) {
            for (let at = 0; at < 60; at++) await vestibule.users.find({ id: long + at });
            return {};
        }").await;
        call(&site, Contract::DiscoverUser, json!({"long": "x".repeat(30_000)})).await.unwrap();
        let record = last_record(&site).await;
        assert!(!record.is_whole && record.questions.is_empty());
        assert_eq!(record.argument["long"].as_str().unwrap().len(), 30_000);
        let program = Program::compile(&site.app.handlers.scripts, "a.js", FIND).await.unwrap();
        let replayed = replay(&site.app.handlers.scripts, &Arc::new(program), Contract::DiscoverUser, &record).await;
        assert!(replayed.unwrap_err().contains("too large"));
    }
}

/// A result that depends on the clock, on randomness, on the host results and on their order.
const RESTLESS: &str = "export async function createUser({ loginHint, customDataJson }) {
    const [byEmail, byName] = await Promise.all([
        vestibule.users.find({ email: loginHint }),
        vestibule.users.find({ username: loginHint }),
    ]);
    const failed = await vestibule.users.find({ nonsense: '1' }).catch((error) => error.name);
    const attributes = { now: Date.now(), random: Math.random(), uuid: crypto.randomUUID(), failed,
        found: [byEmail.length, byName.length, byEmail[0]?.id], custom: JSON.parse(customDataJson) };
    return { attributes };
}";

on_both_databases! {
    async fn a_replay_gives_the_same_output_and_a_changed_version_a_difference(site: Site) {
        site.register("janice@example.com").await;
        put_script(&site, Contract::CreateUser, RESTLESS).await;
        let argument = json!({"loginHint": "janice@example.com", "customDataJson": "{\"password\":\"Rosebud-1941\",\"plan\":\"gold\"}"});
        call(&site, Contract::CreateUser, argument).await.unwrap();
        let record = last_record(&site).await;
        // The data has changed since: a replay does not read it.
        site.execute("UPDATE app_user SET email_key = 'gone', username_key = id").await;
        let engine = &site.app.handlers.scripts;
        let run = async |source: &str| {
            let program = Program::compile(engine, "mine@1.js", source).await.unwrap();
            replay(engine, &Arc::new(program), Contract::CreateUser, &record).await.unwrap()
        };
        let same = run(RESTLESS).await;
        assert_eq!((same.output.as_slice(), same.questions.as_slice()), (&[][..], &[][..]));
        assert_eq!(same.outcome, record.outcome);
        assert!(same.is_same());

        let changed = run(&RESTLESS.replace("byEmail.length, byName.length", "byEmail.length + 1")).await;
        assert!(!changed.is_same());
        assert_eq!(changed.output[0], "- /result/attributes/found/0 1");
        assert_eq!(changed.output[1], "+ /result/attributes/found/0 2");
        assert!(changed.questions.is_empty(), "it asks the same: {:?}", changed.questions);

        let curious = run(&RESTLESS.replace("{ username: loginHint }", "{ username: 'other@example.com' }")).await;
        assert!(!curious.questions.is_empty());
        assert!(matches!(curious.outcome, RecordedOutcome::Error { ref exception, .. } if exception == "ReplayException"));
    }
}

on_sqlite! {
    async fn the_templates_get_through_the_built_in_fixtures(site: Site) {
        let engine = &site.app.handlers.scripts;
        for contract in Contract::ALL {
            let (word, source) = types::template(contract);
            let program = Program::compile(engine, word, source).await.unwrap_or_else(|problem| panic!("{word}: {problem}"));
            let program = Arc::new(program);
            assert!(program.exports(contract.as_str()), "{word}");
            for fixture in Fixture::built_in(contract) {
                let asked = ScriptCall {
                    function: contract.as_str(), argument: fixture.argument.clone(), at: START, seed: [7; 32],
                };
                let world = Arc::new(fixture.clone());
                let ran = engine.run(&program, asked, world).await;
                let outcome = RecordedOutcome::of(&replay::outcome(contract, &ran));
                assert_eq!(fixture.judge(contract, &outcome), [""; 0], "{word}: {} {outcome:?}", fixture.name);
            }
        }
    }
}

on_sqlite! {
    async fn the_discovery_template_finds_by_address_order_and_phone_and_refuses_ambiguity(site: Site) {
        let engine = &site.app.handlers.scripts;
        let (word, source) = types::template(Contract::DiscoverUser);
        let program = Arc::new(Program::compile(engine, word, source).await.unwrap());
        let mut found = Vec::new();
        for fixture in Fixture::built_in(Contract::DiscoverUser) {
            let asked = ScriptCall {
                function: "discoverUser", argument: fixture.argument.clone(), at: START, seed: [7; 32],
            };
            let ran = engine.run(&program, asked, Arc::new(fixture)).await;
            found.push(ran.outcome.unwrap()["userIds"].as_array().unwrap().len());
        }
        assert_eq!(found, [1, 0, 1, 1, 0]);
    }
}

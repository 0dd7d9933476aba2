//! Custom mail templates: which one a request gets, and how it is rendered.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule::delivery::InboxMessage;
use vestibule::settings::Template;
use vestibule::store;
use vestibule_protocol::purpose::Purpose;

use crate::fixture::{Call, START, Site, changed, on_both_databases, on_sqlite, registration};

const GERMAN: &str = "shop/WelcomeDe";
const ENGLISH: &str = "shop/WelcomeEn";

fn template(name: &str, language: &str, flow: Purpose) -> Template {
    Template {
        name: name.into(),
        flow,
        language: language.into(),
        subject: format!("{name} for {{{{ site_name }}}}"),
        text: "{{ first_name }}: {{ code }}, {{ valid_for }}".into(),
        html: Some("<p>{{ first_name }}</p><b>{{ code }}</b>".into()),
        created_at: START,
        updated_at: START,
    }
}

/// Deletes a template although a site may name it: another node has read the settings before.
async fn delete(site: &Site, name: &str) {
    let deleted = site.change(name.to_owned(), |tx, name| {
        Box::pin(async move { changed(store::template::delete(tx, name).await?) })
    });
    assert!(deleted.await);
}

/// The mail of a registration in a locale, which may name a template.
async fn mail(site: &Site, username: &str, locale: &str, named: Option<&str>) -> Arc<InboxMessage> {
    site.init(&request(username, locale, named))
        .await
        .expect_ok();
    site.deliver().await;
    let mut messages = site.inbox.list(Some(username));
    site.inbox.clear();
    messages.pop().expect("a mail")
}

fn request(username: &str, locale: &str, named: Option<&str>) -> Value {
    let mut body = registration(username);
    body["userdata"]["languageLocaleKey"] = json!(locale);
    if let Some(named) = named {
        body["emailtemplate"] = json!(named);
    }
    body
}

on_both_databases! {
    async fn the_default_is_one_for_all_or_one_for_each_language(site: Site) {
        for (name, language) in [(GERMAN, "de"), (ENGLISH, "en")] {
            site.save_template(template(name, language, Purpose::Registration)).await;
        }
        for (number, (default, locale, expected)) in [
            (json!(GERMAN), "en_US", Some((GERMAN, "10 Minuten"))),
            (json!({"de": GERMAN, "en": ENGLISH}), "de_AT", Some((GERMAN, "10 Minuten"))),
            (json!({"de": GERMAN, "en": ENGLISH}), "en_US", Some((ENGLISH, "10 minutes"))),
            (json!({"de": GERMAN, "en": ENGLISH}), "fr_FR", Some((ENGLISH, "10 minutes"))),
            (json!({"de": GERMAN}), "fr_FR", None),
            (json!("vestibule$public/RegistrationOtp"), "de_DE", None),
        ].into_iter().enumerate() {
            site.update_settings(json!({"registrationEmailTemplate": default})).await;
            let mail = mail(&site, &format!("p{number}@example.com"), locale, None).await;
            let expected_name = expected.map_or("registration_otp", |(name, _)| name);
            assert_eq!(mail.template, expected_name, "{default} {locale}");
            if let Some((name, valid_for)) = expected {
                assert_eq!(mail.subject, format!("{name} for Vestibule Demo"));
                let code = mail.code.clone().expect("a code");
                assert_eq!(mail.text, format!("Janice: {code}, {valid_for}"));
                assert_eq!(mail.html, Some(format!("<p>Janice</p><b>{code}</b>")));
            }
        }
    }
}

on_both_databases! {
    async fn a_request_names_one_of_the_list_of_whatever_flow(site: Site) {
        site.save_template(template(GERMAN, "de", Purpose::Registration)).await;
        site.save_template(template("shop/Login", "de", Purpose::PasswordlessLogin)).await;
        let refused = async |name: &str| {
            let answer = site.init(&request("a@example.com", "en_US", Some(name))).await;
            answer.expect_status(400).json()["status_code"].clone()
        };
        assert_eq!(refused(GERMAN).await, "not_allowed_template");
        site.update_settings(json!({"isEmailTemplateAllowlistingEnabled": true})).await;
        assert_eq!(refused(GERMAN).await, "not_allowed_template");
        site.update_settings(json!({"emailTmplsAllowlist": [GERMAN, "shop/Login"]})).await;
        assert_eq!(mail(&site, "a@example.com", "en_US", Some(GERMAN)).await.template, GERMAN);
        assert_eq!(mail(&site, "c@example.com", "en_US", Some("shop/Login")).await.template, "shop/Login");
        assert_eq!(refused("shop/welcomede").await, "invalid_template");
        assert_eq!(mail(&site, "b@example.com", "en_US", None).await.template, "registration_otp");
        // It is no longer used after its deletion.
        delete(&site, GERMAN).await;
        assert_eq!(refused(GERMAN).await, "invalid_template");
    }
}

on_both_databases! {
    async fn a_change_is_in_the_next_mail_and_a_template_that_is_gone_stops_no_code(site: Site) {
        site.save_template(template(GERMAN, "de", Purpose::Registration)).await;
        site.update_settings(json!({"registrationEmailTemplate": GERMAN})).await;
        let changed = Template {
            text: "Neu: {{ code }}".into(),
            html: None,
            ..template(GERMAN, "de", Purpose::Registration)
        };
        site.save_template(changed).await;
        let first = mail(&site, "a@example.com", "de_DE", None).await;
        assert!(first.text.starts_with("Neu: ") && first.html.is_none(), "{}", first.text);
        // Queued while the template existed, sent after its deletion.
        site.init(&request("b@example.com", "de_DE", None)).await.expect_ok();
        delete(&site, GERMAN).await;
        site.deliver().await;
        let second = site.inbox.list(None).pop().expect("a mail");
        site.inbox.clear();
        assert_eq!(second.template, "registration_otp");
        assert!(second.subject.starts_with("Ihr "), "in the language of its recipient: {}", second.subject);
        assert!(second.code.is_some());
    }
}

on_sqlite! {
    async fn a_template_that_this_version_refuses_does_not_stop_a_code(site: Site) {
        let broken = Template {
            text: "no code at all".into(),
            ..template(GERMAN, "de", Purpose::Registration)
        };
        site.save_template(broken).await;
        site.update_settings(json!({"registrationEmailTemplate": GERMAN})).await;
        assert_eq!(mail(&site, "a@example.com", "de_DE", None).await.template, "registration_otp");
    }
}

on_sqlite! {
    async fn mail_04_06_a_name_is_neither_template_nor_markup_in_a_template_of_one_s_own(site: Site) {
        site.save_template(template(GERMAN, "de", Purpose::Registration)).await;
        site.update_settings(json!({"registrationEmailTemplate": GERMAN})).await;
        for (number, (name, greeted)) in [
            ("{{ 7*7 }}", ""), ("{{ code }}", ""), ("{% include 'text' %}", ""), ("<script>x</script>", ""),
            ("\"><img src=x onerror=y>", ""), ("a & b", ""), ("O'Neil", "O'Neil"),
        ].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let mut body = request(&username, "de_DE", None);
            body["userdata"]["firstName"] = json!(name);
            site.init(&body).await.expect_ok();
            site.deliver().await;
            let mail = site.inbox.list(None).pop().expect("a mail");
            site.inbox.clear();
            let code = mail.code.clone().expect("a code");
            assert_eq!(mail.text, format!("{greeted}: {code}, 10 Minuten"));
            let html = mail.html.clone().expect("an HTML part");
            assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("O'Neil"), "{html}");
            assert_eq!(html.matches(&code).count(), 1, "{html}");
        }
    }
}

/// The mail of a login or a reset at the public site, or the refusal.
async fn asked(site: &Site, path: &str, named: Option<&str>) -> Result<Arc<InboxMessage>, Value> {
    let mut body = json!({"username": "janice@example.com", "recaptcha": "test-pass"});
    if path == LOGIN {
        body["verificationmethod"] = json!("email");
    }
    if let Some(named) = named {
        body["emailtemplate"] = json!(named);
    }
    let answer = site.send(Call::post(path).on_public().json(&body)).await;
    if answer.status != 200 {
        return Err(answer.json()["status_code"].clone());
    }
    site.deliver().await;
    let mail = site.inbox.list(None).pop().expect("a mail");
    site.inbox.clear();
    Ok(mail)
}

const LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const RESET: &str = "/services/auth/headless/forgot_password";

on_both_databases! {
    async fn login_and_reset_have_templates_and_rules_of_their_own(site: Site) {
        site.register("janice@example.com").await;
        for (name, flow) in [("shop/Login", Purpose::PasswordlessLogin), ("shop/Reset", Purpose::ForgotPassword)] {
            site.save_template(template(name, "de", flow)).await;
        }
        let name = async |path, named| asked(&site, path, named).await.map(|mail| mail.template.clone());
        let refused = |code: &str| Err(json!(code));
        assert_eq!(name(LOGIN, None).await, Ok("login_otp".into()));
        assert_eq!(name(RESET, None).await, Ok("password_reset_otp".into()));
        // Without an allowlist, the reset accepts any template, and the login none.
        assert_eq!(name(RESET, Some("shop/Reset")).await, Ok("shop/Reset".into()));
        assert_eq!(name(RESET, Some("shop/Login")).await, Ok("shop/Login".into()));
        assert_eq!(name(RESET, Some("shop/None")).await, refused("invalid_template"));
        assert_eq!(name(LOGIN, Some("shop/Login")).await, refused("not_allowed_template"));

        site.update_settings_of("public", json!({
            "passwordlessLoginEmailTemplate": "shop/Login", "forgotPasswordEmailTemplate": {"en": "shop/Reset"},
            "isForgotPwdEmailTemplateAllowlistingEnabled": true, "emailTmplsAllowlist": ["shop/Login"],
        })).await;
        site.advance(std::time::Duration::from_secs(3_600));
        assert_eq!(name(RESET, Some("shop/Reset")).await, refused("not_allowed_template"));
        assert_eq!(name(LOGIN, Some("shop/Login")).await, refused("not_allowed_template"), "its own list is off");
        assert_eq!(name(LOGIN, None).await, Ok("shop/Login".into()));
        assert_eq!(name(RESET, None).await, Ok("shop/Reset".into()));
    }
}

on_both_databases! {
    async fn enu_03_a_template_that_is_named_does_not_disclose_who_exists(site: Site) {
        site.update_settings_of("public", json!({"isEmailTemplateAllowlistingEnabled": true})).await;
        let ask = async |username: &str| {
            let body = json!({"username": username, "recaptcha": "test-pass", "verificationmethod": "email",
                "emailtemplate": "shop/None"});
            site.send(Call::post(LOGIN).on_public().json(&body)).await.expect_status(400).body
        };
        site.register("janice@example.com").await;
        assert_eq!(ask("janice@example.com").await, ask("unknown@example.com").await);
    }
}

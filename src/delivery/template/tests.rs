//! Properties of templates: values are never evaluated, limits are enforced, languages follow the locale.

use super::*;

fn values() -> Variables {
    Variables {
        site_name: "Éclair & Söhne".into(),
        host: "shop.example.com".into(),
        code: Some(Secret::from("482913".to_owned())),
        valid_minutes: 10,
        first_name: Some("Ada".into()),
    }
}

fn named(first_name: &str) -> Variables {
    Variables {
        first_name: Some(first_name.into()),
        ..values()
    }
}

fn registration(values: &Variables) -> Rendered {
    Templates::new()
        .render(TemplateName::RegistrationOtp, "en_US", values)
        .unwrap()
}

#[test]
fn the_code_occurs_once_in_each_body_and_never_in_the_subject() {
    let templates = Templates::new();
    for name in TemplateName::ALL {
        for locale in ["en_US", "de_DE"] {
            let mail = templates.render(name, locale, &values()).unwrap();
            let expected = usize::from(name.has_code());
            assert_eq!(
                mail.text.matches("482913").count(),
                expected,
                "{name:?} {locale}"
            );
            assert_eq!(mail.html.unwrap().matches("482913").count(), expected);
            assert!(!mail.subject.contains("482913"));
            assert!(!mail.text.contains("[["));
        }
    }
}

#[test]
fn the_text_of_the_registration_mail_reads_as_written() {
    let mail = registration(&values());
    assert_eq!(mail.subject, "Your verification code for Éclair & Söhne");
    assert_eq!(
        mail.text,
        "Hello Ada,\n\nEnter this code to finish your registration at Éclair & Söhne.\n\n    482913\n\n\
         The code is valid for 10 minutes and works once.\n\nNobody from Éclair & Söhne will ever ask you for this \
         code. If you did not register, you can ignore this mail: no account is made without the code.\n\n-- \n\
         Éclair & Söhne"
    );
}

#[test]
fn the_language_follows_the_locale() {
    for (locale, expected) in [
        ("de", Language::German),
        ("de_DE", Language::German),
        ("de-AT", Language::German),
        ("DE_ch.UTF-8", Language::German),
        ("den", Language::English),
        ("en_US", Language::English),
        ("fr", Language::English),
        ("", Language::English),
    ] {
        assert_eq!(Language::from_locale(locale), expected, "{locale}");
    }
    let mail = Templates::new()
        .render(TemplateName::RegistrationOtp, "de_AT", &values())
        .unwrap();
    assert_eq!(mail.subject, "Ihr Bestätigungscode für Éclair & Söhne");
    assert!(mail.text.contains("10 Minuten lang gültig"));
    assert!(mail.html.unwrap().contains("<html lang=\"de\">"));
}

#[test]
fn a_lifetime_is_shown_in_its_largest_whole_unit() {
    for (minutes, english, german) in [
        (1, "1 minute", "1 Minute"),
        (10, "10 minutes", "10 Minuten"),
        (60, "1 hour", "1 Stunde"),
        (90, "90 minutes", "90 Minuten"),
        (1440, "24 hours", "24 Stunden"),
    ] {
        assert_eq!(Language::English.duration(minutes), english);
        assert_eq!(Language::German.duration(minutes), german);
    }
}

#[test]
fn mail_04_template_syntax_stays_literal_in_the_name_of_the_site_and_is_no_first_name() {
    for name in [
        "{{ 7*7 }}",
        "{% include 'x' %}",
        "${7*7}",
        "<%= 7*7 %>",
        "{{ code }}",
        "[[intro]]",
    ] {
        let site = Variables {
            site_name: name.to_owned(),
            ..values()
        };
        let mail = registration(&site);
        assert!(mail.text.contains(name), "{}", mail.text);
        assert!(!mail.text.contains("49"));
        let mail = registration(&named(name));
        assert!(mail.text.starts_with("Hello,"), "{}", mail.text);
    }
}

#[test]
fn mail_06_html_in_the_name_of_the_site_is_escaped_in_the_html_part_and_literal_in_the_text_part() {
    let site = Variables {
        site_name: "Éclair & Söhne <script>alert('1')</script>".into(),
        ..values()
    };
    let mail = registration(&site);
    let html = mail.html.unwrap();
    assert!(
        !html.contains("<script>") && html.contains("&lt;script&gt;"),
        "{html}"
    );
    assert!(html.contains("Éclair &amp; Söhne"));
    assert!(mail.text.contains("<script>alert('1')</script>"));
    let html = registration(&named("O'Neil")).html.unwrap();
    assert!(html.contains("O&#x27;Neil"), "{html}");
}

#[test]
fn mail_03_a_name_that_says_something_is_not_greeted() {
    for name in [
        "Win at http://evil.example",
        "www.evil",
        "evil.com",
        "St.John",
        "Call me: x@evil.example",
        "Alert: account locked, call +1 900 555 0199 now",
        "Visit evil\u{3002}example to unlock",
        "evil\u{ff0e}example",
        "evil\u{3002}example",
        "Your account is locked",
        "Winner!",
        "Call 555",
        "Call \u{665}\u{665}\u{665}",
        "A/B",
        "<b>A</b>",
        "-",
        "'",
        ".",
    ] {
        let text = registration(&named(name)).text;
        assert!(text.starts_with("Hello,\n"), "{name}");
    }
    for name in [
        "J. R.",
        "Anne-Marie",
        "O'Neil",
        "Jürgen",
        "Jose\u{301}",
        "Mar\u{ed}a del Carmen",
        "St. John",
        "D\u{2019}Arcy",
        "\u{30de}\u{30ea}\u{30fb}\u{30a2}\u{30f3}",
        "\u{905}\u{930}\u{94d}\u{91c}\u{941}\u{928}",
        "\u{645}\u{62d}\u{645}\u{62f}",
    ] {
        let text = registration(&named(name)).text;
        assert!(
            text.starts_with(&format!("Hello {name},")),
            "{name}: {text}"
        );
    }
}

#[test]
fn mail_01_a_long_or_broken_name_is_no_second_line() {
    for name in [
        format!("A\r\nBcc: x\u{2028}{}", "b".repeat(10_000)),
        "b".repeat(61),
    ] {
        let mail = registration(&named(&name));
        assert_eq!(mail.text.lines().next(), Some("Hello,"));
    }
    let mail = registration(&named("A\r\nB"));
    assert_eq!(mail.text.lines().next(), Some("Hello A B,"));
    let site = Variables {
        site_name: "S\r\nBcc: evil@x.example".into(),
        ..values()
    };
    assert_eq!(
        registration(&site).subject,
        "Your verification code for S Bcc: evil@x.example"
    );
}

#[test]
fn a_mail_with_a_code_is_not_rendered_without_one() {
    let without = Variables {
        code: None,
        ..values()
    };
    let templates = Templates::new();
    let result = templates.render(TemplateName::RegistrationOtp, "en", &without);
    assert_eq!(result, Err(TemplateProblem::CodeMissing));
    assert!(
        templates
            .render(TemplateName::AccountExists, "en", &without)
            .is_ok()
    );
    assert_eq!(
        templates.render_sms(TemplateName::LoginOtp, "en", None, &without),
        Err(TemplateProblem::CodeMissing)
    );
}

#[test]
fn a_text_message_is_one_short_line_and_may_be_bound_to_a_domain() {
    let templates = Templates::new();
    for (name, line) in [
        (
            TemplateName::LoginOtp,
            "482913 is your Éclair & Söhne login code.",
        ),
        (
            TemplateName::PasswordResetOtp,
            "482913 is your code to reset your password at Éclair & Söhne.",
        ),
        (
            TemplateName::RegistrationOtp,
            "482913 is your Éclair & Söhne verification code.",
        ),
    ] {
        assert_eq!(
            templates
                .render_sms(name, "en", Some("login.example"), &values())
                .unwrap(),
            format!("{line} It is valid for 10 minutes.\n@login.example #482913")
        );
    }
    for name in [TemplateName::AccountExists, TemplateName::PasswordChanged] {
        let rendered = templates.render_sms(name, "en", None, &values());
        assert_eq!(rendered, Err(TemplateProblem::MailOnly));
    }
    let long = Variables {
        site_name: "n".repeat(500),
        code: Some(Secret::from("1234567890".to_owned())),
        valid_minutes: 1439,
        ..values()
    };
    for locale in ["en", "de"] {
        let domain = "d".repeat(100);
        for name in TemplateName::ALL.into_iter().filter(|name| name.has_code()) {
            let line = templates
                .render_sms(name, locale, Some(&domain), &long)
                .unwrap();
            assert!(
                line.chars().count() <= 160 && !line.contains('\n'),
                "{line}"
            );
        }
    }
}

#[test]
fn a_custom_template_may_use_values_filters_and_conditions() {
    let template = Templates::compile_custom(
        "en",
        "{{ site_name | upper }}: code",
        "{# greeting #}{% if first_name and language == \"en\" %}Hi {{ first_name }}{% else %}Hi{% endif %} {{ code }}",
        Some("<b>{{- first_name | default('you') -}}</b><i>{{ code }}</i>"),
    )
    .unwrap();
    let mail = template.render(&named("O'Neil")).unwrap();
    assert_eq!(mail.subject, "ÉCLAIR & SÖHNE: code");
    assert_eq!(mail.text, "Hi O'Neil 482913");
    assert_eq!(
        mail.html.as_deref(),
        Some("<b>O&#x27;Neil</b><i>482913</i>")
    );
}

#[test]
fn mail_05_a_custom_template_that_could_grow_or_reach_out_is_refused() {
    for bad in [
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{% for i in code %}x{% endfor %}",
        "{{ range(1000000000) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ code ~ code }}",
        "{{ code.x }}",
        "{{ code[0] }}",
        "{% set a = 'x' %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include 'subject' %}",
        "{% extends 'subject' %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{{ code | pprint }}",
        "{{ code | safe }}",
        "{{ debug() }}",
        "{{ unknown }}",
        "{{ '}}' }}",
        "{{ code",
        "{{ }}",
        "{% %}",
        "{% if code %}",
        "{{ 'é\u{0}",
    ] {
        let result = Templates::compile_custom("en", "s", bad, None);
        assert!(
            matches!(result, Err(TemplateProblem::Refused { part: "text", .. })),
            "{bad}: {:?}",
            result.err()
        );
    }
    let large = "x".repeat(PART_BYTES_MAX + 1);
    assert_eq!(
        Templates::compile_custom("en", "s", &large, None).err(),
        Some(TemplateProblem::TooLarge)
    );
}

#[test]
fn a_custom_template_shows_the_code_to_everybody_and_never_in_the_subject() {
    let code = "{{ code }}";
    for (subject, text, html, part) in [
        ("s", "no code", None, "text"),
        (
            "s",
            "{% if first_name %}{{ code }}{% endif %}",
            None,
            "text",
        ),
        (
            "s",
            "{% if not first_name %}{{ code }}{% endif %}",
            None,
            "text",
        ),
        ("s", "{{ code | upper }}", None, "text"),
        ("s", code, Some("<p>no code</p>"), "html"),
        ("{{ code }}", code, None, "subject"),
        (
            "{% if first_name %}{{ code }}{% endif %}x",
            code,
            None,
            "subject",
        ),
        ("{% if first_name %}x{% endif %}", code, None, "subject"),
        ("", code, None, "subject"),
    ] {
        let result = Templates::compile_custom("en", subject, text, html);
        assert!(
            matches!(&result, Err(TemplateProblem::Refused { part: p, .. }) if *p == part),
            "{subject} | {text} | {html:?}: {:?}",
            result.err()
        );
    }
    let html = Some("<b title=\"{{ site_name }}\">{{ code }}</b>");
    assert!(Templates::compile_custom("en", "s", code, html).is_ok());
}

#[test]
fn mail_06_a_custom_template_may_show_a_name_only_between_tags() {
    for html in [
        "{{ code }}<a href=\"{{ first_name }}\">x</a>",
        "{{ code }}<p title={{ first_name }}>x</p>",
        "{{ code }}<p title='a>b' class={{ first_name }}>x</p>",
        "{{ code }}<p {{ first_name }}>x</p>",
        "{{ code }}<style>p { color: {{ first_name }} }</style>",
        "{{ code }}<p title='{% if first_name %}{{ first_name | trim }}{% endif %}'>x</p>",
        "{{ code }}<script>x</script>",
        "{{ code }}<SCRIPT>x</SCRIPT>",
    ] {
        let result = Templates::compile_custom("en", "s", "{{ code }}", Some(html));
        let is_refused = matches!(result, Err(TemplateProblem::Refused { part: "html", .. }));
        assert!(is_refused, "{html}: {:?}", result.err());
    }
    for html in [
        "<style>p { color: red }</style><p title='a>b'>{{ first_name }}</p>{{ code }}",
        "{% if first_name %}<p class=\"x\">1 < 2, {{ first_name }}</p>{% endif %}{{ code }}",
    ] {
        let template = Templates::compile_custom("en", "s", "{{ code }}", Some(html)).unwrap();
        let mail = template.render(&named("\"><img src=x>")).unwrap();
        assert!(!mail.html.unwrap().contains("<img"), "{html}");
    }
}

#[test]
fn mail_10_no_mail_has_a_link_that_a_scanner_could_follow() {
    let templates = Templates::new();
    for name in TemplateName::ALL {
        for locale in ["en_US", "de_DE"] {
            let mail = templates.render(name, locale, &values()).unwrap();
            for part in [mail.text, mail.html.unwrap()] {
                for link in ["://", "href", "src=", "url(", "<form", "mailto:"] {
                    assert!(!part.contains(link), "{name:?} {locale}: {link}");
                }
            }
        }
    }
}

#[test]
fn a_custom_template_speaks_one_language() {
    for (language, expected) in [("de", "482913: 10 Minuten"), ("fr", "482913: 10 minutes")] {
        let text = "{{ code }}: {{ valid_for }}";
        let template = Templates::compile_custom(language, "s", text, None).unwrap();
        assert_eq!(template.render(&values()).unwrap().text, expected);
    }
}

#[test]
fn a_refusal_names_the_line() {
    let problem = Templates::compile_custom("en", "s", "one\ntwo\n{% for %}", None)
        .err()
        .unwrap();
    assert_eq!(
        problem.to_string(),
        "text, line 3: only if, elif, else and endif are allowed here"
    );
}

#[test]
fn mail_05_fuel_and_size_stop_what_the_grammar_does_not() {
    let mut environment = environment();
    let loops =
        "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] %}".repeat(9) + &"{% endfor %}".repeat(9);
    environment.add_template_owned("loop", loops).unwrap();
    environment
        .add_template("large", "{{ code * 1000 }}")
        .unwrap();
    let values = Variables {
        code: Some(Secret::from("x".repeat(1000))),
        ..values()
    };
    let render = |key| render_part(&environment, key, TEXT, Language::English, &values);
    assert_eq!(render("loop"), Err(TemplateProblem::OutOfFuel));
    assert_eq!(render("large"), Err(TemplateProblem::TooLarge));
}

#[test]
fn a_problem_never_quotes_a_value() {
    let mut environment = environment();
    environment.add_template("bad", "{{ code + 1 }}").unwrap();
    let problem = render_part(&environment, "bad", TEXT, Language::English, &values()).unwrap_err();
    assert!(!format!("{problem} {problem:?}").contains("482913"));
}

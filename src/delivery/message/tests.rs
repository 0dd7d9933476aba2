//! Properties of messages: one recipient, only the server's headers, only complete line ends.

use super::*;

fn mail() -> OutgoingMail {
    OutgoingMail {
        message_id: "<m1@login.example>".into(),
        to: "ada@example.com".into(),
        from: "Éclair Shop <no-reply@shop.example>".into(),
        rendered: Rendered {
            subject: "Ihr Bestätigungscode".into(),
            text: "Code: 123456\n".into(),
            html: Some("<p>Code: 123456</p>".into()),
        },
        date_at_ms: 784_887_151_000,
    }
}

fn wire(mail: &OutgoingMail) -> String {
    String::from_utf8(mail.to_message().unwrap().formatted()).unwrap()
}

fn header_names(wire: &str) -> Vec<String> {
    let head = wire.split("\r\n\r\n").next().unwrap();
    head.split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_mail_is_ascii_with_two_parts_and_the_same_bytes_each_time() {
    let text = wire(&mail());
    assert!(text.is_ascii());
    assert_eq!(text, wire(&mail()));
    assert!(text.contains("Date: Tue, 15 Nov 1994 08:12:31 +0000\r\n"));
    assert!(text.contains("Message-ID: <m1@login.example>\r\n"));
    assert!(text.contains("Auto-Submitted: auto-generated\r\n"));
    assert!(text.contains("multipart/alternative"));
    assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
}

#[test]
fn a_subject_cannot_add_a_header() {
    for bad in [
        "Hi\r\nBcc: evil@example.net",
        "Hi\nBcc: evil@example.net",
        "Hi\u{2028}Bcc: evil@example.net",
        "Hi\u{85}Bcc: x\0",
        "=?utf-8?q?Hi=0D=0ABcc:_evil@example.net?=",
        &"x".repeat(10_000),
        &"ä =? ".repeat(2_000),
    ] {
        let mut mail = mail();
        mail.rendered.subject = bad.into();
        let text = wire(&mail);
        assert_eq!(
            header_names(&text),
            [
                "Date",
                "From",
                "To",
                "Subject",
                "Message-ID",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type"
            ],
            "{bad:?}"
        );
        assert!(text.lines().all(|line| line.len() < 998));
    }
}

#[test]
fn a_literal_encoded_word_in_a_subject_stays_literal() {
    let mut mail = mail();
    mail.rendered.subject = "=?utf-8?q?Free_money?=".into();
    let text = wire(&mail);
    assert!(!text.contains("Free_money"));
    assert!(text.contains(&STANDARD.encode("=?utf-8?q?Free_money?=")));
}

#[test]
fn a_recipient_is_one_plain_address_or_refused() {
    for bad in [
        "",
        "ada",
        "a@b>,<c@d",
        "a@b.example, c@d.example",
        "\"a,b\"@c.example",
        "Ada <a@b.example>",
        "a@b.example\r\nBcc: c@d.example",
        "a@[127.0.0.1]",
        "a b@c.example",
        "a@b@c.example",
        "a@b.example\u{2028}",
        "a@b.example>",
        "@b.example",
        "a@",
    ] {
        assert_eq!(
            parse_recipient(bad),
            Err(MessageProblem::RecipientMalformed),
            "{bad:?}"
        );
    }
    let long = format!("{}@example.com", "a".repeat(300));
    assert_eq!(
        parse_recipient(&long),
        Err(MessageProblem::RecipientMalformed)
    );
    assert_eq!(
        parse_recipient("o'brien+x@b.example").unwrap().to_string(),
        "o'brien+x@b.example"
    );
    assert_eq!(
        parse_recipient("ada@bücher.example").unwrap().to_string(),
        "ada@xn--bcher-kva.example"
    );
}

#[test]
fn a_sender_is_an_address_with_an_optional_name() {
    assert_eq!(parse_sender("no-reply@shop.example").unwrap().name, None);
    let named = parse_sender("The Shop, Inc. <no-reply@shop.example>").unwrap();
    assert_eq!(named.name.as_deref(), Some("The Shop, Inc."));
    assert_eq!(
        parse_sender("\"A B\" <a@b.example>")
            .unwrap()
            .name
            .as_deref(),
        Some("A B")
    );
    for bad in [
        "",
        "x",
        "A\r\nBcc: c@d.example <a@b.example>",
        "A <a@b.example> x",
        "<a@b.example>, <c@d.example>",
    ] {
        assert_eq!(
            parse_sender(bad),
            Err(MessageProblem::SenderMalformed),
            "{bad:?}"
        );
    }
}

#[test]
fn a_body_reaches_the_wire_without_bare_line_ends() {
    let mut mail = mail();
    mail.rendered.text = "a\n.\n\rb\r\n.\r\nc\r\r\n\0d".into();
    mail.rendered.html = None;
    let text = wire(&mail);
    let without_pairs = text.replace("\r\n", "");
    assert!(!without_pairs.contains(['\r', '\n', '\0']));
}

#[test]
fn a_malformed_id_or_date_is_refused() {
    for bad in ["", "<>", "x", "<a@b>\r\nX: y", "<a b@c>", "@", "<a@b><c@d>"] {
        let mail = OutgoingMail {
            message_id: bad.into(),
            ..mail()
        };
        assert_eq!(
            mail.to_message().unwrap_err(),
            MessageProblem::MessageIdMalformed,
            "{bad:?}"
        );
    }
    for bad in [-1, i64::MAX] {
        let mail = OutgoingMail {
            date_at_ms: bad,
            ..mail()
        };
        assert_eq!(
            mail.to_message().unwrap_err(),
            MessageProblem::DateOutOfRange
        );
    }
}

#[test]
fn debug_output_shows_neither_code_nor_recipient() {
    let shown = format!("{:?}", mail());
    assert!(
        !shown.contains("123456") && !shown.contains("ada@"),
        "{shown}"
    );
}

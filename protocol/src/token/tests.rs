//! Token requests as clients write them, and responses as clients read them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request(body: &str) -> TokenRequest {
    TokenRequest::parse(Parameters::parse(None, body.as_bytes()).unwrap())
}

fn answer() -> TokenAnswer {
    TokenAnswer {
        access_token: Secret::from("00D000000000001!AQEAQ<&>".to_owned()),
        refresh_token: Some(Secret::from("5Aep861".to_owned())),
        id_token: None,
        id: "https://site.example.com/id/00D000000000001EAA/005000000000001AAA".to_owned(),
        instance_url: "https://site.example.com".to_owned(),
        api_instance_url: None,
        sfdc_community_url: Some("https://site.example.com".to_owned()),
        sfdc_community_id: Some("0DB000000000001EAA".to_owned()),
        issued_at: 1_667_600_739_962,
        signature: "z8eA/4m7FVuux7zjKR7NmSTcRA1eBiop3wihXiVcrJo=".to_owned(),
        scope: ScopeSet::parse("openid api").unwrap(),
        token_format: TokenFormat::Opaque,
        expires_in: None,
        more: Vec::new(),
    }
}

// As the mobile SDK sends it, unencoded and with its name for the grant.
#[test]
fn the_mobile_request_is_an_authorization_code_grant() {
    let request = request(
        "code=aPrxC1==&grant_type=hybrid_auth_code&client_id=3MVG9&\
         redirect_uri=https://app.example.com/cb?x&code_verifier=a-b._~c",
    );
    assert_eq!(request.grant_type.as_deref(), Some("hybrid_auth_code"));
    assert_eq!(request.code.as_ref().map(Secret::expose), Some("aPrxC1=="));
    assert_eq!(
        request.redirect_uri.as_deref(),
        Some("https://app.example.com/cb?x")
    );
    assert_eq!(
        request.code_verifier.as_ref().map(Secret::expose),
        Some("a-b._~c")
    );
    assert_eq!(request.client_secret, None);
    assert!(!request.secret_came_in_query);
}

// The documentation's sample, with its line breaks.
#[test]
fn the_documented_request_is_read() {
    let request = request(
        "grant_type=authorization_code&\n code=aPrxC1&\r\n client_id=3MVG9&\n client_secret=s3cret&\n \
         redirect_uri=https://www.example.com/services/apexrest/code/exchange&\n \
         code_verifier=Y29kZ\n",
    );
    assert_eq!(request.grant_type.as_deref(), Some("authorization_code"));
    assert_eq!(request.client_id.as_deref(), Some("3MVG9"));
    assert_eq!(
        request.redirect_uri.as_deref(),
        Some("https://www.example.com/services/apexrest/code/exchange")
    );
    for (secret, text) in [
        (&request.code, "aPrxC1"),
        (&request.client_secret, "s3cret"),
        (&request.code_verifier, "Y29kZ"),
    ] {
        assert_eq!(secret.as_ref().map(Secret::expose), Some(text));
    }
}

#[test]
fn an_empty_parameter_is_absent_and_an_unknown_one_is_left_over() {
    let request = request("client_secret=&code=&scope=&token_handler=x&nonsense");
    assert_eq!(request.more.get("token_handler"), Some("x"));
    assert_eq!(
        request,
        TokenRequest {
            more: request.more.clone(),
            ..TokenRequest::default()
        }
    );
}

#[test]
fn a_lasting_credential_in_the_query_is_noticed_and_a_code_with_its_verifier_is_not() {
    for (query, noticed) in [
        ("device_id=1&format=json", false),
        ("code=x&code_verifier=y&client_id=z", false),
        ("client_secret=x", true),
        ("refresh_token=x", true),
        ("client_assertion=x", true),
        ("assertion=x", true),
    ] {
        let parameters = Parameters::parse(Some(query), b"grant_type=refresh_token").unwrap();
        let request = TokenRequest::parse(parameters);
        assert_eq!(request.secret_came_in_query, noticed, "{query}");
    }
}

#[test]
fn no_secret_is_shown_by_debug() {
    let shown = format!(
        "{:?} {:?}",
        request(
            "code=hush&client_secret=hush&code_verifier=hush&refresh_token=hush&\
             assertion=hush&client_assertion=hush"
        ),
        TokenAnswer {
            access_token: Secret::from("hush".to_owned()),
            refresh_token: Some(Secret::from("hush".to_owned())),
            id_token: Some(Secret::from("hush".to_owned())),
            ..answer()
        }
    );
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn the_answer_has_every_documented_member_and_no_null() {
    let members: Value = serde_json::from_str(&answer().render(Format::Json)).unwrap();
    assert_eq!(
        members,
        json!({
            "access_token": "00D000000000001!AQEAQ<&>",
            "refresh_token": "5Aep861",
            "sfdc_community_url": "https://site.example.com",
            "sfdc_community_id": "0DB000000000001EAA",
            "signature": "z8eA/4m7FVuux7zjKR7NmSTcRA1eBiop3wihXiVcrJo=",
            "scope": "openid api",
            "instance_url": "https://site.example.com",
            "id": "https://site.example.com/id/00D000000000001EAA/005000000000001AAA",
            "token_type": "Bearer",
            "issued_at": "1667600739962",
            "token_format": "opaque",
        })
    );
    let full = TokenAnswer {
        id_token: Some(Secret::from("eyJ".to_owned())),
        api_instance_url: Some("https://api.example.com".to_owned()),
        more: vec![("state", "xyz".to_owned())],
        expires_in: Some(7200),
        token_format: TokenFormat::Jwt,
        ..answer()
    };
    let members: Value = serde_json::from_str(&full.render(Format::Json)).unwrap();
    assert_eq!(members["id_token"], "eyJ");
    assert_eq!(members["api_instance_url"], "https://api.example.com");
    assert_eq!(members["state"], "xyz");
    assert_eq!(members["expires_in"], 7200);
    assert_eq!(members["token_format"], "jwt");
}

// TOK-10
#[test]
fn the_answer_is_escaped_in_each_format() {
    let form = answer().render(Format::UrlEncoded);
    assert!(form.starts_with("access_token=00D000000000001%21AQEAQ%3C%26%3E&refresh_token="));
    assert!(form.contains("&scope=openid+api&"));
    let xml = answer().render(Format::Xml);
    assert!(xml.contains("<access_token>00D000000000001!AQEAQ&lt;&amp;&gt;</access_token>"));
    assert!(xml.ends_with("<token_format>opaque</token_format></OAuth>"));
}

proptest! {
    #[test]
    fn a_request_reads_back_what_was_sent(code in "[!-~]{1,40}", verifier in "[A-Za-z0-9._~-]{1,60}") {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("code_verifier", &verifier)
            .finish();
        let request = request(&body);
        prop_assert_eq!(request.code.as_ref().map(Secret::expose), Some(code.as_str()));
        prop_assert_eq!(request.code_verifier.as_ref().map(Secret::expose), Some(verifier.as_str()));
    }
}

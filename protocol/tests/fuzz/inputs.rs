//! The inputs of the fuzz targets: a corpus, random bytes, and edits of valid requests.
//!
//! Random bytes are seldom a form, let alone JSON. So each input is tried three times: as it is, as
//! a spelling of words from the target's vocabulary, and as a list of edits to a valid request.

use std::time::Duration;

/// Tries each input as it is, as words, and as edits to a valid request.
pub fn fuzz(
    target: &str,
    valid: &str,
    words: &[&str],
    check: impl Fn(&[u8]) + std::panic::RefUnwindSafe,
) {
    check(valid.as_bytes());
    bolero::check!(name = target)
        .with_test_time(Duration::from_millis(500))
        .with_max_len(512)
        .for_each(|input: &[u8]| {
            check(input);
            check(&spelled(input, words));
            check(&edited(input, valid, words));
        });
}

/// Printable bytes are kept, each other byte becomes a word.
fn spelled(input: &[u8], words: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in input {
        match byte {
            b' '..=b'~' => text.push(*byte),
            _ => text.extend_from_slice(words[usize::from(*byte) % words.len()].as_bytes()),
        }
    }
    text
}

/// Up to five edits of four bytes each: two for the position, one for the operation, one for its operand.
fn edited(input: &[u8], valid: &str, words: &[&str]) -> Vec<u8> {
    let mut text = valid.as_bytes().to_vec();
    let Some((count, edits)) = input.split_first() else {
        return text;
    };
    for edit in edits.chunks_exact(4).take(usize::from(*count % 6)) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (text.len() + 1);
        let with = usize::from(edit[3]);
        let end = (at + with % 16).min(text.len());
        let word = words[with % words.len()].as_bytes();
        match edit[2] % 5 {
            0 => drop(text.splice(at..end, [])),
            1 => text.insert(at, edit[3]),
            2 => drop(text.splice(at..end, word.iter().copied())),
            3 => {
                let copy = text[at..end].to_vec();
                drop(text.splice(at..at, copy));
            }
            _ => drop(text.splice(at..at, word.iter().copied())),
        }
    }
    text
}

/// A form as pasted from documentation.
pub const FORM: &str =
    "grant_type=authorization_code&code=aPrxC1&\r\n  scope=openid%20api&state=a+b%2B";
/// An authorization request with every parameter.
pub const AUTHORIZATION: &str = "response_type=code_credentials&client_id=3MVG9example\
    &redirect_uri=https://site.example.com/services/oauth2/echo\
    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&state=%3Cb%3E&nonce=n\
    &username=janice%40example.com&password=p%26w";
/// A token request of a mobile SDK.
pub const TOKEN: &str = "grant_type=hybrid_auth_code&code=aPrxC1&client_id=3MVG9example\
    &redirect_uri=https://site.example.com/services/oauth2/echo\
    &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&client_secret=s&format=json";
/// A user's header, in the standard alphabet.
pub const BASIC: &str = "Basic amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5+w78=";
/// A registration with every member.
pub const REGISTRATION: &str = r#"{"userdata":{"firstName":"Janice","lastName":"Edwards",
    "email":"janice.edwards@example.com","username":"jedwards@myapp.com","locale":"de"},
    "customdata":{"mobilePhone":"+15551234567"},"password":"Sup3rSecret",
    "verificationmethod":"sms","emailtemplate":"unfiled$public/Welcome",
    "recaptchaevent":{"token":"t","siteKey":"s","projectId":"p"}}"#;

/// A reset with every member, both phases at once.
pub const RESET: &str = r#"{"username":"jedwards@myapp.com","otp":"123abc","newpassword":"N3w-password",
    "recaptcha":"t","customdata":"{\"a\":1}","emailtemplate":"unfiled$public/Reset"}"#;

/// Parts of forms, and text that forms must not contain.
pub const FORM_WORDS: &[&str] = &[
    "&",
    "&",
    "&",
    "=",
    "=",
    "=",
    "%",
    "%25",
    "%00",
    "%0D%0A",
    "%C3%A9",
    "%FF",
    "%7f",
    "+",
    " ",
    "\r\n",
    "\n  ",
    "\0",
    "\t",
    "é",
    "\u{FFFF}",
    "response_type",
    "code_credentials",
    "client_id",
    "redirect_uri",
    "code_challenge",
    "scope",
    "state",
    "nonce",
    "username",
    "password",
    "grant_type",
    "authorization_code",
    "code",
    "code_verifier",
    "client_secret",
    "format",
];
/// Parts of registrations, and text that they must not contain.
pub const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "1e400",
    "-0",
    "1.5",
    "\\ud800",
    "\\u0000",
    "\\n",
    "\\\"",
    "é",
    "\u{FEFF}",
    "\u{FFFF}",
    "\"userdata\":",
    "\"username\":",
    "\"lastName\":",
    "\"email\":",
    "\"password\":",
    "\"__proto__\":",
    "\"isActive\":true,",
    "\"Role\":1,",
    "\"customdata\":",
    "\"{}\"",
    "\"\"",
    "\"phone\":\"1\",",
    "\"mobilePhone\":\"2\",",
    "\"locale\":\"de\",",
    "\"language\":1,",
    "\"verificationmethod\":\"sms\",",
    "[[[[[[[[",
    "\"firstName\":null,",
    "\"a\":",
];
/// Parts of logins and resets, and text that they must not contain.
pub const LOGIN_WORDS: &[&str] = &[
    "{",
    "}",
    ",",
    ":",
    "\"",
    "null",
    "1.5",
    "\\u0000",
    "\\\"",
    "é",
    "\u{FEFF}",
    "\u{FFFF}",
    "\"\"",
    "[[[[[[[[",
    "\"username\":",
    "\"login_hint\":",
    "\"otp\":",
    "\"newpassword\":",
    "\"recaptcha\":",
    "\"recaptchaevent\":{},",
    "\"customdata\":{},",
    "\"emailtemplate\":",
    "\"verificationmethod\":\"sms\",",
    "\"Username\":",
    "\"userId\":",
];
/// Parts of headers, and text that they must not contain.
pub const BASIC_WORDS: &[&str] = &[
    "Basic ", "basic ", "Bearer ", " ", "=", "==", ":", "YTpi", "OmI6", "-", "_", "+", "/", ",",
    "\n", "\0", "!", "%3A", "%00", "é",
];

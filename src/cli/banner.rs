//! What `vestibule dev` prints and shows once it is ready: lines that work when pasted, and a page for a browser.

use std::path::Path;

use super::ready::Ready;

/// What the banner depends on in addition to the ready object.
pub struct Shown<'s> {
    /// The data directory, as it was named.
    pub data_dir: &'s Path,
    /// Whether mail goes to a relay and not to the inbox.
    pub has_relay: bool,
    /// Whether other machines can reach the server.
    pub is_exposed: bool,
}

/// The text of the terminal.
pub fn banner(ready: &Ready, shown: &Shown<'_>) -> String {
    let vestibule = program();
    let data_dir = shown.data_dir.display();
    let management = &ready.management_url;
    let mail = match shown.has_relay {
        true => "mail is sent by the relay".to_owned(),
        false => format!("mail is in the inbox: {management}/_emulator/v1/inbox"),
    };
    let exposed = if shown.is_exposed { EXPOSED } else { "" };
    let Some(private) = &ready.sites.private else {
        return format!(
            "{exposed}\n  Vestibule is ready, without a demo. Data: {data_dir}\n  Management: {management}\n  \
             Next: {vestibule} site create NAME --base-url URL, {vestibule} client create NAME\n"
        );
    };
    let next = if shown.has_relay {
        format!(
            "    {vestibule} perform register --data-dir {data_dir} --email YOU@EXAMPLE.COM --code-from ask\n"
        )
    } else {
        let curl: String = CURL.lines().map(|line| format!("    {line}\n")).collect();
        let trust = match &ready.tls_certificate_file {
            Some(_) => {
                "    export CURL_CA_BUNDLE=ca.pem   # the authority that issued your certificate\n"
            }
            None => "",
        };
        format!(
            "    {vestibule} perform register --data-dir {data_dir}\n\n  or with curl, as an app does it (paste the \
             whole block):\n\n{trust}    . {data_dir}/env.sh\n{curl}"
        )
    };
    let public = match &ready.sites.public {
        Some(public) => format!(
            "  Public site   {}   (apps without a secret; the captcha is \"test-pass\")\n",
            public.base_url
        ),
        None => String::new(),
    };
    let login = match shown.has_relay {
        true => String::new(),
        false => format!(
            r#"  Then log in with a password, with a code, and reset the password (paste the whole block):

    NEW=ada$RANDOM@example.com; printf %s "first-Pa55-$RANDOM" > {data_dir}/password; printf %s "second-Pa55-$RANDOM" > {data_dir}/new-password
    {vestibule} perform register --data-dir {data_dir} --username $NEW --password-file {data_dir}/password
    {vestibule} perform login $NEW --data-dir {data_dir} --password-file {data_dir}/password
    {vestibule} perform passwordless $NEW --data-dir {data_dir}
    {vestibule} perform reset $NEW --data-dir {data_dir} --new-password-file {data_dir}/new-password
"#
        ),
    };
    format!(
        r#"{exposed}
  Vestibule is ready.   Ctrl-C stops it and leaves a clean database in {data_dir}

{public}  Private site  {base_url}   (apps with a backend)
  Management    {management}   (open it in a browser; health, metrics; {mail})
  Discovery     {base_url}/.well-known/openid-configuration

  Register a user from another terminal, with one command:

{next}
{login}"#,
        base_url = private.base_url,
    )
}

/// The page at `/` of the management listener. It contains no secret.
pub fn page(ready: &Ready, shown: &Shown<'_>) -> String {
    let mut rows = Vec::new();
    if let Some(public) = &ready.sites.public {
        rows.extend([
            (
                "Public site (apps without a secret)",
                public.base_url.as_str(),
            ),
            ("its client_id", public.client.client_id.as_str()),
            ("its redirect_uri", public.client.redirect_uri.as_str()),
        ]);
    }
    if let Some(private) = &ready.sites.private {
        rows.extend([
            (
                "Private site (apps with a backend)",
                private.base_url.as_str(),
            ),
            ("its client_id", private.client.client_id.as_str()),
            ("its redirect_uri", private.client.redirect_uri.as_str()),
        ]);
    }
    let rows: String = rows
        .into_iter()
        .map(|(name, value)| {
            format!(
                "<tr><th align=\"left\">{name}</th><td><code>{}</code></td></tr>\n",
                escape(value)
            )
        })
        .collect();
    let inbox = match (shown.has_relay, shown.is_exposed) {
        (true, _) => "<p>Mail is sent by the relay.</p>",
        (false, true) => {
            "<p>Inbox: <code>/_emulator/v1/inbox</code>, with the <code>admin_token</code> of ready.json as a Bearer token.</p>"
        }
        (false, false) => "<p>Inbox: <a href=\"/_emulator/v1/inbox\">/_emulator/v1/inbox</a></p>",
    };
    let data_dir = shown.data_dir.display().to_string();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Vestibule</title>\n\
         <h1>Vestibule is running</h1>\n<table>\n{rows}</table>\n{inbox}\n\
         <p>Health: <a href=\"/health/ready\">/health/ready</a>. Metrics: <a href=\"/metrics\">/metrics</a>.</p>\n\
         <p>Client secrets and the admin token are in <code>{}</code>.</p>\n</html>\n",
        escape(&format!("{data_dir}/{}", super::ready::READY_FILE))
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// How this program is called in a terminal: by its name if a shell finds it, and by its path otherwise.
fn program() -> String {
    let Ok(own) = std::env::current_exe() else {
        return String::from("vestibule");
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join("vestibule"))
        .find(|path| path.is_file());
    match found.and_then(|found| found.canonicalize().ok()) {
        Some(found) if own.canonicalize().is_ok_and(|own| own == found) => {
            String::from("vestibule")
        }
        _ => own.display().to_string(),
    }
}

const EXPOSED: &str = "
  ###########################################################################################
  ##  EXPOSED: other machines can reach this server. It is for tests only: the demo's      ##
  ##  captcha accepts every caller, and the admin token of ready.json reads every code.     ##
  ##  Health and metrics need no token. Use `vestibule serve` for real users.              ##
  ###########################################################################################
";

/// A whole registration in curl. The README prints the same lines.
pub const CURL: &str = r#"member() { sed 's/.*"'$1'":"\([^"]*\)".*/\1/'; }
TOKEN=$(curl -s "$VESTIBULE_BASE_URL/services/oauth2/token" -d grant_type=client_credentials \
  -d client_id="$VESTIBULE_INTEGRATION_ID" -d client_secret="$VESTIBULE_INTEGRATION_SECRET" | member access_token)
NAME=janice$RANDOM
REQUEST=$(curl -s "$VESTIBULE_BASE_URL/services/auth/headless/init/registration" \
  -H "Authorization: Bearer $TOKEN" -d '{"userdata":{"firstName":"Janice","lastName":"Edwards",
  "email":"'$NAME'@example.com","username":"'$NAME'@example.com"},"password":"Sup3r-Secret-Pa55","verificationmethod":"email"}' | member identifier)
CODE=$(curl -s "$VESTIBULE_MANAGEMENT_URL/_emulator/v1/inbox?to=$NAME@example.com&wait_ms=5000" \
  -H "Authorization: Bearer $VESTIBULE_ADMIN_TOKEN" | member code)
GRANT=$(curl -s -L "$VESTIBULE_BASE_URL/services/oauth2/authorize" -H "Auth-Request-Type: user-registration" \
  -H "Auth-Verification-Type: email" -H "Authorization: Basic $(printf %s "$REQUEST:$CODE" | base64 | tr -d '\n')" \
  -d response_type=code_credentials -d client_id="$VESTIBULE_CLIENT_ID" -d redirect_uri="$VESTIBULE_REDIRECT_URI" | member code)
ACCESS=$(curl -s "$VESTIBULE_BASE_URL/services/oauth2/token" -d grant_type=authorization_code -d code="$GRANT" \
  -d client_id="$VESTIBULE_CLIENT_ID" -d client_secret="$VESTIBULE_CLIENT_SECRET" \
  -d redirect_uri="$VESTIBULE_REDIRECT_URI" | member access_token)
curl -s "$VESTIBULE_BASE_URL/services/oauth2/userinfo" -H "Authorization: Bearer $ACCESS" -H "X-PrettyPrint: 1""#;

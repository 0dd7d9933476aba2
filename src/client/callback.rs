//! Callback URLs: what may be registered, and what equals it.

use url::Url;

/// Longest callback that can be registered, in bytes.
const CALLBACK_BYTES_MAX: usize = 2_000;

/// Schemes that run code or read files where they are opened (threat RURI-14).
const DANGEROUS: [&str; 7] = [
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "view-source",
];

/// Whether a callback may be registered: `https`, or `http` on the loopback, or a private-use
/// scheme with a dot (RFC 8252 section 7.1); no fragment, no user, no wildcard, and no `code`,
/// `state` or `error` in its query, which would meet ours (threat RURI-17).
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_callback(callback: &str) -> Result<(), String> {
    let refuse = |reason: &str| Err(format!("callback {callback:?}: {reason}"));
    if callback.len() > CALLBACK_BYTES_MAX {
        return Err(String::from("a callback is longer than 2,000 bytes"));
    }
    if callback
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || !c.is_ascii())
    {
        return refuse("it may hold printable ASCII characters only");
    }
    if callback.contains(['*', '\\', '#']) {
        return refuse("wildcards, backslashes and fragments are not allowed");
    }
    let Ok(url) = Url::parse(callback) else {
        return refuse("it is not an absolute URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it names a user");
    }
    // A lenient parser finds a host in `https:cb` and `https:///cb`, too; the text must show it.
    let names_host = callback[url.scheme().len()..]
        .strip_prefix("://")
        .is_some_and(|rest| !rest.starts_with('/'));
    match url.scheme() {
        "https" | "http" if !names_host => return refuse("it names no host"),
        "https" if url.has_host() => {}
        "http" if is_loopback(&url) => {}
        "http" => return refuse("plain http is for loopback addresses only: use https"),
        scheme if DANGEROUS.contains(&scheme) => return refuse("its scheme is not allowed"),
        scheme if scheme.contains('.') => {}
        _ => {
            return refuse(
                "a private-use scheme is a reversed domain name, such as com.example.app",
            );
        }
    }
    let ours = [
        "code",
        "state",
        "error",
        "sfdc_community_url",
        "sfdc_community_id",
    ];
    if url
        .query_pairs()
        .any(|(name, _)| ours.contains(&name.as_ref()))
    {
        return refuse("its query holds a parameter that the answer itself carries");
    }
    Ok(())
}

/// Whether what a request presents is what was registered.
pub fn is_same(registered: &str, presented: &str) -> bool {
    registered == presented || differs_in_loopback_port_only(registered, presented)
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Whether a text is a port as clients write it: 1 to 65535, without leading zeros.
fn is_port(text: &str) -> bool {
    !text.starts_with('0') && text.parse::<u16>().is_ok()
}

fn differs_in_loopback_port_only(registered: &str, presented: &str) -> bool {
    // The raw text is cut, not a parsed URL, because parsing would normalise `..` away (RURI-09).
    let cut = |text: &str| {
        ["http://127.0.0.1", "http://[::1]"]
            .iter()
            .find_map(|origin| {
                let rest = text.strip_prefix(origin)?;
                let rest = match rest.strip_prefix(':') {
                    Some(port) => {
                        let path = port.trim_start_matches(|c: char| c.is_ascii_digit());
                        is_port(&port[..port.len() - path.len()]).then_some(path)?
                    }
                    None => rest,
                };
                rest.starts_with('/').then(|| (*origin, rest.to_owned()))
            })
    };
    matches!((cut(registered), cut(presented)), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ruri_01_to_16_only_the_registered_text_matches() {
        let registered = "https://app.example.com/cb";
        for presented in [
            "https://app.example.com/cb/",
            "https://app.example.com/cb?x=1",
            "https://app.example.com/cb#f",
            "https://APP.example.com/cb",
            "https://app.example.com:443/cb",
            "http://app.example.com/cb",
            "https://app.example.com@evil.test/cb",
            "https://app.example.com/cb/../x",
            "https://app.example.com/cb%2F",
            "https://xn--app-example.com/cb",
            "https://app.example.com/cb\r\nX: y",
        ] {
            assert!(!is_same(registered, presented), "{presented}");
        }
        assert!(is_same(registered, registered));
    }

    #[test]
    fn ruri_13_only_a_port_is_a_port() {
        let registered = "http://127.0.0.1:8080/cb";
        let is_same = |port: &str| is_same(registered, &format!("http://127.0.0.1:{port}/cb"));
        for port in ["1", "80", "35779", "65535"] {
            assert!(is_same(port), "{port}");
        }
        for port in [
            "",
            "0",
            "000035779",
            "035779",
            "65536",
            "8080000000",
            "+80",
            "8 0",
        ] {
            assert!(!is_same(port), "{port}");
        }
        assert!(super::is_same(registered, "http://127.0.0.1/cb"));
    }

    #[test]
    fn ruri_13_the_port_of_a_loopback_ip_is_free_and_nothing_else() {
        let registered = "http://127.0.0.1/cb";
        assert!(is_same(registered, "http://127.0.0.1:51004/cb"));
        assert!(is_same("http://[::1]:1/cb", "http://[::1]:2/cb"));
        for presented in [
            "http://127.0.0.1:51004/other",
            "http://127.0.0.1.evil.test/cb",
            "http://localhost:51004/cb",
            "http://127.0.0.1:1@evil.test/cb",
        ] {
            assert!(!is_same(registered, presented), "{presented}");
        }
        assert!(!is_same("http://localhost:1/cb", "http://localhost:2/cb"));
    }

    #[test]
    fn ruri_14_17_18_what_may_be_registered() {
        for good in [
            "https://app.example.com/cb",
            "https://app.example.com/cb?tenant=1",
            "http://localhost:3000/cb",
            "http://127.0.0.1/cb",
            "com.example.app:/oauth",
        ] {
            assert_eq!(check_callback(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "app.example.com/cb",
            "http://app.example.com/cb",
            "https://*.example.com/cb",
            "https://app.example.com/cb#f",
            "https://user@app.example.com/cb",
            "https://app.example.com/cb?code=1&state=2",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "myapp:/cb",
            "https://app.example.com/c b",
            "https:///cb",
            "https:cb",
        ] {
            assert!(check_callback(bad).is_err(), "{bad}");
        }
    }
}

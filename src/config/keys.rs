//! The keys of the config and the values that each takes, in the server's own words: a parser's message about an
//! invalid value repeats the value, which may be a secret in the wrong place.

use vestibule_protocol::purpose::Purpose;

use crate::changes::suggestion;

/// Section, key, what it takes; without the sections of the purposes.
const KEYS: &[(&str, &str, &str)] = &[
    ("captcha", "enterprise_url", TEXT),
    ("captcha", "max_in_flight", WHOLE),
    ("captcha", "siteverify_url", TEXT),
    ("captcha", "timeout_ms", WHOLE),
    ("connections", "body_timeout_ms", WHOLE),
    ("connections", "handshake_timeout_ms", WHOLE),
    ("connections", "head_timeout_ms", WHOLE),
    ("connections", "idle_timeout_ms", WHOLE),
    ("connections", "max", WHOLE),
    ("connections", "max_per_network", WHOLE),
    ("connections", "request_timeout_ms", WHOLE),
    ("connections", "write_timeout_ms", WHOLE),
    ("database", "ca_file", PATH),
    ("database", "certificate_file", PATH),
    ("database", "connections", WHOLE),
    ("database", "key_file", PATH),
    (
        "database",
        "sslmode",
        "\"disable\", \"allow\", \"prefer\", \"require\", \"verify-ca\" or \"verify-full\"",
    ),
    ("database", "synchronous", "\"full\" or \"normal\""),
    ("database", "url", TEXT),
    ("database", "url_file", PATH),
    ("handlers", "calls_kept_days", WHOLE),
    ("handlers", "private_addresses", NETWORKS),
    ("handlers", "script_cpu_ms", WHOLE),
    ("handlers", "script_deadline_ms", WHOLE),
    ("handlers", "script_max_in_flight", WHOLE),
    ("handlers", "script_memory_mib", WHOLE),
    ("handlers", "script_stack_kib", WHOLE),
    ("handlers", "script_threads", WHOLE),
    ("handlers", "webhook_max_in_flight", WHOLE),
    ("handlers", "webhook_timeout_ms", WHOLE),
    ("hashing", "queue", WHOLE),
    ("hashing", "threads", WHOLE),
    ("keys", "master_key_file", PATH),
    ("keys", "publish_before_hours", WHOLE),
    ("keys", "rotate_after_days", WHOLE),
    ("limits", "enabled", "true or false"),
    (
        "limits",
        "rules",
        "rows with surface, per, count, seconds and, if you like, burst",
    ),
    ("listen", "management", ADDRESS),
    ("listen", "management_hosts", HOSTS),
    ("listen", "public", ADDRESS),
    ("listen", "tls_certificate_file", PATH),
    ("listen", "tls_key_file", PATH),
    ("log", "format", "\"json\" or \"pretty\""),
    ("log", "level", TEXT),
    ("otp", "failures_per_day", WHOLE),
    (
        "outbound",
        "no_proxy",
        "a list of hosts and networks, such as [\"corp.example\", \"10.0.0.0/8\"]",
    ),
    ("outbound", "proxy", TEXT),
    ("outbound", "proxy_password_file", PATH),
    ("outbound", "proxy_user", TEXT),
    ("proxies", "city_header", TEXT),
    ("proxies", "country_header", TEXT),
    ("proxies", "subdivision_header", TEXT),
    ("proxies", "trusted", NETWORKS),
    ("sms", "allowed_countries", PLACES),
    ("sms", "connections", WHOLE),
    ("sms", "cost_micros", BY_COUNTRY),
    ("sms", "country_daily_caps", BY_COUNTRY),
    ("sms", "daily_cap", WHOLE),
    ("sms", "denied_countries", PLACES),
    ("sms", "from", TEXT),
    ("sms", "range_daily_cap", WHOLE),
    ("sms", "timeout_ms", WHOLE),
    ("sms", "twilio_account_sid", TEXT),
    ("sms", "twilio_auth_token_file", PATH),
    ("sms", "twilio_url", TEXT),
    ("sms", "webhook_secret_file", PATH),
    ("sms", "webhook_url", TEXT),
    ("smtp", "ca_file", PATH),
    ("smtp", "connections", WHOLE),
    ("smtp", "from", TEXT),
    ("smtp", "password_file", PATH),
    ("smtp", "timeout_seconds", WHOLE),
    ("smtp", "url", TEXT),
];

/// The keys of the section `otp.PURPOSE`.
const OTP_KEYS: &[(&str, &str)] = &[
    ("alphabet", ALPHABET),
    ("codes_per_hour", WHOLE),
    ("length", WHOLE),
    ("lifetime_seconds", WHOLE),
    ("tries", WHOLE),
];

const ALPHABET: &str = "\"digits\" or \"alphanumeric\"";
const ADDRESS: &str = "an address with a port, such as 127.0.0.1:8080";
const BY_COUNTRY: &str = "whole numbers by country, such as { DE = 500 }";
const HOSTS: &str = "a list of host names, such as [\"vestibule.internal\"]";
const NETWORKS: &str = "a list of addresses or networks, such as [\"10.0.0.0/8\", \"::1\"]";
const PATH: &str = "a path";
const PLACES: &str = "a list of countries and calling codes, such as [\"DE\", \"+43\"]";
const TEXT: &str = "text";
const WHOLE: &str = "a whole number";

/// Section, key and what it takes, in order.
fn keys() -> Vec<(String, &'static str, &'static str)> {
    let fixed = KEYS
        .iter()
        .map(|(section, key, takes)| ((*section).to_owned(), *key, *takes));
    let of_purposes = Purpose::ALL.into_iter().flat_map(|purpose| {
        let keys = OTP_KEYS.iter();
        keys.map(move |(key, takes)| (format!("otp.{purpose}"), *key, *takes))
    });
    let mut keys: Vec<_> = fixed.chain(of_purposes).collect();
    keys.sort_unstable();
    keys
}

/// What is wrong with the value at a path of names, or with the path.
pub fn reason(path: &[String]) -> String {
    let shown = match path {
        [] => return String::from("it is not a table of sections"),
        [only] => format!("[{only}]"),
        [sections @ .., last] => format!("[{}] {last}", sections.join(".")),
    };
    let whole = path.join(".");
    let keys = keys();
    // A key that takes a table has names below it that the administrator chooses.
    let is_key = |section: &str, key: &str| {
        let below = whole.strip_prefix(&format!("{section}.{key}"));
        below.is_some_and(|below| below.is_empty() || below.starts_with('.'))
    };
    if let Some((_, _, takes)) = keys.iter().find(|(section, key, _)| is_key(section, key)) {
        return format!("{shown} takes {takes}");
    }
    // The names of the nearest existing section.
    let under = |section: &str| -> Vec<&str> {
        let found = keys.iter().filter(|(name, _, _)| *name == section);
        found.map(|(_, key, _)| *key).collect()
    };
    let depth = (1..=path.len())
        .rev()
        .find(|depth| !under(&path[..*depth].join(".")).is_empty());
    match depth {
        Some(depth) => {
            let known = under(&path[..depth].join("."));
            let typed = path.get(depth).map_or("", String::as_str);
            let meant = suggestion(typed, known.iter().copied());
            format!(
                "{shown} is an unknown key{meant}; that section has {}",
                known.join(", ")
            )
        }
        None => {
            let mut sections: Vec<&str> = keys
                .iter()
                .map(|(section, _, _)| section.as_str())
                .collect();
            sections.dedup();
            let meant = suggestion(&path[0], sections.iter().copied());
            format!(
                "{shown} is an unknown key{meant}; the sections are {}",
                sections.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The template shows every key, those without a default commented out.
    #[test]
    fn every_key_of_the_template_is_listed_and_no_other() {
        let mut section = String::new();
        let mut shown = Vec::new();
        for line in super::super::template().lines() {
            let line = line.trim_start_matches("# ");
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.to_owned();
            } else if let Some((key, _)) = line.split_once(" = ")
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                shown.push((section.clone(), key.to_owned()));
            }
        }
        shown.sort();
        let listed: Vec<_> = keys()
            .into_iter()
            .map(|(section, key, _)| (section, key.to_owned()))
            .collect();
        assert_eq!(listed, shown);
    }

    #[test]
    fn an_invalid_value_is_reported_with_its_key() {
        let reason = |path: &str| {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            reason(&path)
        };
        assert_eq!(
            reason("limits.enabled"),
            "[limits] enabled takes true or false"
        );
        assert!(reason("otp.registration.tries").starts_with("[otp.registration] tries takes"));
        assert_eq!(
            reason("limits.enabeld"),
            "[limits] enabeld is an unknown key (did you mean \"enabled\"?); that section has enabled, rules"
        );
        assert!(reason("smpt.url").contains("(did you mean \"smtp\"?)"));
        assert!(reason("limits").starts_with("[limits] is an unknown key"));
        assert!(reason("smpt.url").contains("the sections are captcha, connections"));
    }
}

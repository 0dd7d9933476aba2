//! The config in a form for people: values that may contain a secret are left out, in doubt more than necessary.

use std::fmt;

use url::Url;

use super::{Config, DatabaseConfig, SmsConfig};

impl Config {
    /// The same config with URLs without secrets. It can be printed, not used.
    pub fn shown(mut self) -> Config {
        self.database.url = shown_database(&self.database.url);
        self.smtp.url = self.smtp.url.as_deref().map(shown_relay);
        self.outbound.proxy = self.outbound.proxy.as_deref().map(shown_relay);
        self.sms.webhook_url = self.sms.webhook_url.as_deref().map(shown_webhook);
        self
    }
}

impl fmt::Debug for SmsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let webhook_url = self.webhook_url.as_deref().map(shown_webhook);
        f.debug_struct("SmsConfig")
            .field("webhook_url", &webhook_url)
            .field("twilio_url", &self.twilio_url)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("url", &shown_database(&self.url))
            .field("url_file", &self.url_file)
            .field("synchronous", &self.synchronous)
            .field("connections", &self.connections)
            .field("sslmode", &self.sslmode)
            .finish_non_exhaustive()
    }
}

/// Of a webhook's URL only the server is shown: its path often authenticates the caller.
fn shown_webhook(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.host_str().is_some() => format!("{}/…", url.origin().ascii_serialization()),
        _ => String::from("…"),
    }
}

/// A path unchanged; of a server its host and the database's name, if they can be recognised.
fn shown_database(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    match host_and_name(url) {
        Some((host, name)) => format!("postgres://{host}/{name}"),
        None => String::from("postgres://…"),
    }
}

/// An unescaped password may contain any of the characters that separate the parts of a URL. So the result requires
/// at most one `@`, before all of these characters, and plain host and name.
fn host_and_name(url: &str) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let is_clear = rest.matches('@').count() == authority.matches('@').count()
        && authority.matches('@').count() <= 1;
    if !is_clear || rest.contains('#') {
        return None;
    }
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    let name = url.path().strip_prefix('/')?;
    let is_plain = |text: &str, more: &str| {
        let is_fine = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.chars().all(is_fine)
    };
    (is_plain(host, ".-[]:") && is_plain(name, "_-")).then(|| (host.to_owned(), name.to_owned()))
}

/// A relay's URL has no password; one that is there nevertheless is not shown.
fn shown_relay(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let is_clear = parsed.is_some_and(|url| {
        url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match url.split_once("://") {
        Some(_) if is_clear && url.matches('@').count() <= 1 => url.to_owned(),
        Some((scheme @ ("smtp" | "smtp+starttls" | "smtps"), _)) => format!("{scheme}://…"),
        _ => String::from("…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_database_url_only_host_and_name_are_shown_and_on_doubt_nothing() {
        for (url, shown) in [
            ("sqlite:/var/lib/v.db", "sqlite:/var/lib/v.db"),
            ("postgres://db.example/shop", "postgres://db.example/shop"),
            (
                "postgresql://shop:s3cret@db.example:5432/shop?password=s3cret",
                "postgres://db.example/shop",
            ),
            ("postgres://shop@[::1]/shop?s3cret#x", "postgres://…"),
            ("postgres://shop@[::1]/shop", "postgres://[::1]/shop"),
            ("postgres://shop:s3@cret@db.example/shop", "postgres://…"),
            ("postgres://shop:12/s3cret@db.example/shop", "postgres://…"),
            ("postgres://shop:12?s3cret@db.example/shop", "postgres://…"),
            ("postgres://shop:12#s3cret@db.example/shop", "postgres://…"),
            ("postgres://db.example/shop/s3cret", "postgres://…"),
            ("postgres://db.example/shop%20s3cret", "postgres://…"),
            ("postgres://shop:s3cret@/shop?host=/run", "postgres://…"),
            ("postgres://s3cret", "postgres://…"),
            ("nothing:s3cret", "postgres://…"),
        ] {
            assert_eq!(shown_database(url), shown, "{url}");
        }
    }

    #[test]
    fn a_password_in_a_relay_url_is_not_shown() {
        for (url, shown) in [
            ("smtp://127.0.0.1:25", "smtp://127.0.0.1:25"),
            (
                "smtp+starttls://mailer@relay.example:587",
                "smtp+starttls://mailer@relay.example:587",
            ),
            ("smtps://mailer:s3cret@relay.example", "smtps://…"),
            ("smtps://mailer@s3cret@relay.example", "smtps://…"),
            ("smtp://relay.example/s3cret", "smtp://…"),
            ("s3cret://relay.example/s3cret", "…"),
            ("s3cret", "…"),
        ] {
            assert_eq!(shown_relay(url), shown, "{url}");
        }
    }

    #[test]
    fn of_a_webhook_only_the_server_is_shown() {
        for (url, shown) in [
            ("https://hooks.example/T0/s3cret", "https://hooks.example/…"),
            (
                "https://hooks.example:8443/?key=s3cret",
                "https://hooks.example:8443/…",
            ),
            ("https://x:s3cret@hooks.example/", "https://hooks.example/…"),
            ("s3cret", "…"),
        ] {
            assert_eq!(shown_webhook(url), shown, "{url}");
        }
    }

    #[test]
    fn debug_of_a_config_does_not_show_its_password() {
        let mut config = Config::default();
        config.database.url = String::from("postgres://shop:s3cret@db.example/shop");
        config.sms.webhook_url = Some(String::from("https://hooks.example/s3cret"));
        let text = format!("{config:?}");
        assert!(
            text.contains("db.example") && !text.contains("s3cret"),
            "{text}"
        );
    }
}

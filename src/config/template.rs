//! The commented config file that `vestibule config init` writes.

use super::otp;

/// Every key with its default. Keys without a default are shown commented out.
pub fn template() -> String {
    [BEFORE_OTP, otp::SECTION, AFTER_OTP].concat()
}

const BEFORE_OTP: &str = r#"# The config of a Vestibule server.
# Sites (registration, templates, handlers) are configured by `vestibule site update` instead.
# Every key can be set by an environment variable: [smtp] url is VESTIBULE_SMTP__URL.

[database]
# "sqlite:PATH", or "postgres://USER@HOST/NAME" for several nodes.
url = "sqlite:vestibule.db"
# A file that contains the URL, for a URL with a password.
# url_file = "/etc/vestibule/database-url"
# SQLite: "full" survives a power cut; "normal" survives a crash of the process.
synchronous = "full"
# PostgreSQL: maximum number of connections of this node.
connections = 16
# PostgreSQL on another machine: "verify-full" makes TLS mandatory ("disable", "allow", "prefer", "require",
# "verify-ca"; docs/reference/config.md).
# sslmode = "verify-full"
# The authority that issued the certificate of the database server, if it is not a public one.
# ca_file = "/etc/vestibule/database-ca.pem"
# The certificate of this server, if the database server requires one.
# certificate_file = "/etc/vestibule/database-client.pem"
# key_file = "/etc/vestibule/database-client.key"

[keys]
# 32 random bytes in base64: openssl rand -base64 32. Every secret in the database is sealed
# under it. Back it up, separately from the database.
# master_key_file = "/etc/vestibule/master.key"
# How long a signing key signs (0: until it is rotated by command), and how long it is published before.
rotate_after_days = 90
publish_before_hours = 24

[listen]
# The sites' endpoints.
public = "127.0.0.1:8080"
# Health and metrics. Keep it private.
management = "127.0.0.1:8081"
# Host names by which it may be called, in addition to addresses and localhost.
management_hosts = []
# TLS by certificate files, loaded again when they change. Or terminate TLS at a proxy listed below.
# tls_certificate_file = "/etc/vestibule/tls.pem"
# tls_key_file = "/etc/vestibule/tls.key"

[connections]
# Maximum number of connections of the public listener: in total, and of one IPv4 address or IPv6 /64
# (a /56 has twice as many, an IPv4 /24 and an IPv6 /48 four times). Trusted proxies are not counted.
max = 8192
max_per_network = 256
# Maximum times: the TLS handshake, the head and the body of a request, a connection without a
# request, until a client accepts the next part of an answer, and with requests of which none ends.
handshake_timeout_ms = 10000
head_timeout_ms = 15000
body_timeout_ms = 30000
idle_timeout_ms = 60000
write_timeout_ms = 20000
request_timeout_ms = 90000

[proxies]
# The proxies from which X-Forwarded-For and X-Forwarded-Proto are accepted: "10.0.0.0/8", "::1".
trusted = []
# Headers in which they send the client's location, for user discovery handlers.
# country_header = "CF-IPCountry"
# city_header = "CF-IPCity"
# subdivision_header = "CF-Region-Code"

[smtp]
# "smtp://HOST:25" (plain), "smtp+starttls://USER@HOST:587", "smtps://USER@HOST:465".
# url = "smtp+starttls://mailer@smtp.example.com:587"
# from = "Example <no-reply@example.com>"
# password_file = "/etc/vestibule/smtp-password"
# ca_file = "/etc/vestibule/relay-ca.pem"
# timeout_seconds = 30
# connections = 4

[sms]
# The provider of text messages: a webhook that receives signed JSON ...
# webhook_url = "https://sms.example.com/messages"
# webhook_secret_file = "/etc/vestibule/sms-secret"
# ... or Twilio, or a service with the same API.
# twilio_url = "https://api.twilio.com/2010-04-01"
# twilio_account_sid = "AC00000000000000000000000000000000"
# twilio_auth_token_file = "/etc/vestibule/twilio-token"
# from = "+15550100"
timeout_ms = 10000
connections = 16
# Permitted destinations: countries and calling codes. An empty list permits every country.
allowed_countries = []
denied_countries = []
# Maximum number of messages per day: in total, to numbers that differ in their last four digits only,
# and by country.
daily_cap = 10000
range_daily_cap = 100
# country_daily_caps = { DE = 500, AT = 200 }
# The cost of a message, in millionths of your currency, for the metric.
# cost_micros = { DE = 75000 }

[captcha]
# The servers that verify captcha tokens, instead of the providers' servers.
# siteverify_url = "https://www.google.com/recaptcha/api/siteverify"
# enterprise_url = "https://recaptchaenterprise.googleapis.com"
# The maximum time of one verification (at most 3,000), and the maximum number at the same time.
timeout_ms = 3000
max_in_flight = 64

"#;

const AFTER_OTP: &str = r#"[limits]
# Whether the rate limits apply and codes per hour are counted. The attempts of a code and the failures
# of a user are always counted. `vestibule dev` ignores the rules by address unless this is set.
# enabled = true
# These rules replace all built-in rules (docs/reference/limits.md).
# rules = [{ surface = "init", per = "ip_prefix", count = 20, seconds = 60 }]

[handlers]
# Number of days for which the records of calls are kept; they contain personal data, sealed.
calls_kept_days = 7
# Webhooks and scripts can call public addresses, and these: "127.0.0.1", "10.1.2.0/24".
private_addresses = []
# The maximum time of one webhook call, or one fetch of a script, and the maximum number at the same time.
webhook_timeout_ms = 2000
webhook_max_in_flight = 64
# Limits of one script call: processor time, total time, memory, stack.
script_cpu_ms = 100
script_deadline_ms = 3000
script_memory_mib = 16
script_stack_kib = 256
# Threads that run scripts, and the maximum number of calls at the same time, waiting ones included.
script_threads = 2
script_max_in_flight = 256

[outbound]
# The HTTP proxy for calls to captcha verifiers and providers of text messages, and the hosts that are called
# without it: names (with all names below them), addresses, networks. Handlers are called without the proxy only.
# proxy = "http://proxy.example.com:3128"
# proxy_user = "vestibule"
# proxy_password_file = "/etc/vestibule/proxy-password"
no_proxy = []

[hashing]
# Threads that hash passwords, 19 MiB each; 0 means one per core.
threads = 0
# Maximum number of waiting passwords; above it, the answer is 503.
queue = 64

[log]
# "json" or "pretty".
format = "json"
level = "info"
"#;

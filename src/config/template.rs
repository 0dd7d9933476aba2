//! The commented config file that `vestibule config init` writes.

/// Every key with its default. Keys without a default are shown commented out.
pub const TEMPLATE: &str = r#"# The config of a Vestibule server: what the process needs to run.
# What a site does (registration, templates, handlers) is not here: see `vestibule site update`.
# Every key can be set by an environment variable: [smtp] url is VESTIBULE_SMTP__URL.

[database]
# "sqlite:PATH", or "postgres://USER@HOST/NAME?sslmode=require" when one machine is not enough.
url = "sqlite:vestibule.db"
# A file that holds the URL, when it has a password in it.
# url_file = "/etc/vestibule/database-url"
# SQLite: "full" survives a power cut; "normal" survives a crash of the process.
synchronous = "full"
# PostgreSQL: most connections of this node.
connections = 16

[keys]
# 32 random bytes in base64: openssl rand -base64 32. Every secret in the database is sealed
# under it. Back it up, and not beside the database.
# master_key_file = "/etc/vestibule/master.key"
# How long a signing key signs (0: until somebody rotates it), and how long it is published before.
rotate_after_days = 90
publish_before_hours = 24

[listen]
# The sites' endpoints.
public = "127.0.0.1:8080"
# Health and metrics. Keep it private.
management = "127.0.0.1:8081"
# TLS by certificate files, read again when they change; or end TLS at a proxy listed below.
# tls_certificate_file = "/etc/vestibule/tls.pem"
# tls_key_file = "/etc/vestibule/tls.key"

[proxies]
# Whose X-Forwarded-For and X-Forwarded-Proto are believed: "10.0.0.0/8", "::1".
trusted = []
# Headers in which they name the client's place, for user discovery handlers.
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
# Who sends text messages: a service of your own, which gets signed JSON ...
# webhook_url = "https://sms.example.com/messages"
# webhook_secret_file = "/etc/vestibule/sms-secret"
# ... or Twilio, or whoever speaks its API.
# twilio_url = "https://api.twilio.com/2010-04-01"
# twilio_account_sid = "AC00000000000000000000000000000000"
# twilio_auth_token_file = "/etc/vestibule/twilio-token"
# from = "+15550100"
timeout_ms = 10000
connections = 16
# Where messages may go: countries and calling codes. An empty list is every country.
allowed_countries = []
denied_countries = []
# Most messages a day: all, to numbers that differ in four digits only, and by country.
daily_cap = 10000
range_daily_cap = 100
# country_daily_caps = { DE = 500, AT = 200 }
# What a message costs, in millionths, for the metric.
# cost_micros = { DE = 75000 }

[captcha]
# Who verifies captcha tokens, in place of the providers' own servers.
# siteverify_url = "https://www.google.com/recaptcha/api/siteverify"
# enterprise_url = "https://recaptchaenterprise.googleapis.com"
# How long one verification may take (3,000 at most), and how many run at once.
timeout_ms = 3000
max_in_flight = 64

[otp]
# Failed comparisons per user or address in 24 hours, over all codes, uses and nodes: 5 to 100.
failures_per_day = 100

[otp.registration]
# Characters of a code, 6 to 10; "digits" or "alphanumeric".
length = 6
alphabet = "digits"
lifetime_seconds = 600
# Comparisons per code, and codes per mailbox and hour.
tries = 5
codes_per_hour = 5

[otp.passwordless_login]
length = 6
alphabet = "digits"
lifetime_seconds = 600
tries = 5
codes_per_hour = 5

[otp.forgot_password]
length = 6
alphabet = "digits"
lifetime_seconds = 600
tries = 5
codes_per_hour = 5

[limits]
# Whether the rules of the edge hold and codes per hour are counted. The tries of a code and the
# failures of a user always are. `vestibule dev` leaves out the rules by address unless this is set.
# enabled = true
# Rows here stand in place of all built-in rules (docs/reference/limits.md).
# rules = [{ surface = "init", per = "ip_prefix", count = 20, seconds = 60 }]

[handlers]
# Days that the records of calls are kept; they hold personal data, sealed.
calls_kept_days = 7
# Webhooks and scripts call public addresses only, and these: "127.0.0.1", "10.1.2.0/24".
private_addresses = []
# How long one call to a webhook, or one fetch of a script, may take, and how many run at once.
webhook_timeout_ms = 2000
webhook_max_in_flight = 64
# What one call of a script may have: processor time, time altogether, memory, stack.
script_cpu_ms = 100
script_deadline_ms = 3000
script_memory_mib = 16
script_stack_kib = 256
# Threads that run scripts, and most calls at once, those that wait for the server included.
script_threads = 2
script_max_in_flight = 256

[hashing]
# Threads that hash passwords, 19 MiB each; 0 is one per core.
threads = 0
# Passwords that may wait; beyond it the answer is 503.
queue = 64

[log]
# "json" or "pretty".
format = "json"
level = "info"
"#;

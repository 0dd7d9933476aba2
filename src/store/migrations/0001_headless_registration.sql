CREATE TABLE installation (
    singleton   BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    org_id      TEXT NOT NULL,
    key_check   BYTEA NOT NULL,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE profile (
    id              TEXT NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    user_type       TEXT NOT NULL,
    password_policy TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);

CREATE TABLE account (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX account_by_name ON account (name_key);

CREATE TABLE app_user (
    id                TEXT NOT NULL PRIMARY KEY,
    username          TEXT NOT NULL,
    username_key      TEXT NOT NULL UNIQUE,
    email             TEXT NOT NULL,
    email_key         TEXT NOT NULL,
    phone             TEXT,
    first_name        TEXT,
    last_name         TEXT NOT NULL,
    profile_id        TEXT NOT NULL REFERENCES profile (id),
    account_id        TEXT REFERENCES account (id),
    locale            TEXT NOT NULL,
    timezone          TEXT NOT NULL,
    attributes        TEXT NOT NULL,
    is_integration    BIGINT NOT NULL,
    email_verified_at BIGINT,
    phone_verified_at BIGINT,
    locked_at         BIGINT,
    disabled_at       BIGINT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);

CREATE TABLE credential (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES app_user (id),
    phc     TEXT NOT NULL,
    history TEXT NOT NULL,
    set_at  BIGINT NOT NULL
) /* clustered */;

CREATE TABLE site (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    base_url     TEXT NOT NULL UNIQUE,
    settings     TEXT NOT NULL,
    activated_at BIGINT,
    created_at   BIGINT NOT NULL
);

CREATE TABLE client (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    secret_hash   BYTEA NOT NULL,
    secret_sealed BYTEA NOT NULL,
    policies      TEXT NOT NULL,
    disabled_at   BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE TABLE signing_key (
    id         TEXT NOT NULL PRIMARY KEY,
    algorithm  TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE challenge (
    identifier_hash BYTEA NOT NULL PRIMARY KEY,
    purpose         TEXT NOT NULL,
    site_id         TEXT NOT NULL,
    channel         TEXT NOT NULL,
    is_channel_named BIGINT NOT NULL,
    target_key      TEXT NOT NULL,
    budget_key      TEXT NOT NULL,
    code_mac        BYTEA,
    tries_left      BIGINT NOT NULL,
    payload         TEXT,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    closed_at       BIGINT
) /* clustered */;
CREATE INDEX challenge_by_budget ON challenge (budget_key, purpose, created_at);
CREATE INDEX challenge_by_creation ON challenge (created_at);

CREATE TABLE turn (
    name     TEXT NOT NULL PRIMARY KEY,
    taken_at BIGINT NOT NULL
) /* clustered */;
CREATE INDEX turn_by_time ON turn (taken_at);

CREATE TABLE authorization_code (
    code_hash      BYTEA NOT NULL PRIMARY KEY,
    client_id      TEXT NOT NULL,
    user_id        TEXT NOT NULL,
    site_id        TEXT NOT NULL,
    redirect_uri   TEXT NOT NULL,
    code_challenge TEXT,
    scope          TEXT NOT NULL,
    state          TEXT,
    nonce          TEXT,
    auth_at        BIGINT NOT NULL,
    amr            TEXT NOT NULL,
    expires_at     BIGINT NOT NULL,
    redeemed_at    BIGINT
) /* clustered */;
CREATE INDEX authorization_code_by_expiry ON authorization_code (expires_at);

CREATE TABLE access_token (
    token_hash BYTEA NOT NULL PRIMARY KEY,
    code_hash  BYTEA,
    client_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    site_id    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
) /* clustered */;
CREATE INDEX access_token_by_code ON access_token (code_hash);
CREATE INDEX access_token_by_expiry ON access_token (expires_at);

CREATE TABLE outbox (
    id             TEXT NOT NULL PRIMARY KEY,
    channel        TEXT NOT NULL,
    template       TEXT NOT NULL,
    language       TEXT NOT NULL,
    recipient      TEXT NOT NULL,
    site_id        TEXT NOT NULL,
    message_id     TEXT NOT NULL,
    sealed         BYTEA,
    status         TEXT NOT NULL,
    attempts       BIGINT NOT NULL,
    due_at         BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    leased_until   BIGINT,
    created_at     BIGINT NOT NULL,
    settled_at     BIGINT,
    last_reason    TEXT
);
CREATE INDEX outbox_by_due ON outbox (status, due_at);

CREATE TABLE audit_event (
    id         TEXT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    event      TEXT NOT NULL,
    user_id    TEXT,
    client_id  TEXT,
    site_id    TEXT,
    ip         TEXT,
    request_id TEXT,
    detail     TEXT NOT NULL
);
CREATE INDEX audit_event_by_time ON audit_event (at);
CREATE INDEX audit_event_by_user ON audit_event (user_id, at);

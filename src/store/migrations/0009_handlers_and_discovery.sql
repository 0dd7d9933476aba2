CREATE TABLE external_identifier (
    kind       TEXT NOT NULL,
    value_key  TEXT NOT NULL,
    value      TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES app_user (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, value_key)
) /* clustered */;
CREATE INDEX external_identifier_by_user ON external_identifier (user_id);

CREATE TABLE user_attribute (
    name      TEXT NOT NULL,
    value_key TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    PRIMARY KEY (name, value_key, user_id)
) /* clustered */;
CREATE INDEX user_attribute_by_user ON user_attribute (user_id);

CREATE INDEX app_user_by_email ON app_user (email_key);
CREATE INDEX app_user_by_phone ON app_user (phone);

CREATE TABLE handler (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    contract      TEXT NOT NULL,
    kind          TEXT NOT NULL,
    version       BIGINT NOT NULL,
    secret_sealed BYTEA,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE TABLE handler_version (
    handler_id TEXT NOT NULL REFERENCES handler (id),
    version    BIGINT NOT NULL,
    body       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (handler_id, version)
);

CREATE TABLE handler_call (
    id          TEXT NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    handler_id  TEXT NOT NULL,
    version     BIGINT NOT NULL,
    contract    TEXT NOT NULL,
    site_id     TEXT NOT NULL,
    request_id  TEXT,
    outcome     TEXT NOT NULL,
    cpu_micros  BIGINT NOT NULL,
    wall_micros BIGINT NOT NULL,
    sealed      BYTEA NOT NULL
);
CREATE INDEX handler_call_by_time ON handler_call (at);
CREATE INDEX handler_call_by_handler ON handler_call (handler_id, at);

ALTER TABLE authorization_code ADD COLUMN uvid TEXT;
ALTER TABLE authorization_code ADD COLUMN client_key TEXT;
ALTER TABLE token_family ADD COLUMN uvid TEXT;
ALTER TABLE token_family ADD COLUMN client_key TEXT;

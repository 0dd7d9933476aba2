CREATE TABLE token_family (
    code_hash          BYTEA NOT NULL PRIMARY KEY,
    client_id          TEXT NOT NULL,
    user_id            TEXT NOT NULL,
    site_id            TEXT NOT NULL,
    scope              TEXT NOT NULL,
    auth_at            BIGINT NOT NULL,
    amr                TEXT NOT NULL,
    session_generation BIGINT NOT NULL,
    token_hash         BYTEA NOT NULL,
    replaced_hash      BYTEA,
    successor_salt     BYTEA,
    replaced_at        BIGINT,
    created_at         BIGINT NOT NULL,
    last_used_at       BIGINT NOT NULL,
    expires_at         BIGINT,
    ended_at           BIGINT
) /* clustered */;
CREATE INDEX token_family_by_expiry ON token_family (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE auth_session (
    session_hash BYTEA NOT NULL PRIMARY KEY,
    site_id      TEXT NOT NULL,
    client_id    TEXT NOT NULL,
    client_key   TEXT NOT NULL,
    state        TEXT NOT NULL,
    tries_left   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
) /* clustered */;
CREATE INDEX auth_session_by_expiry ON auth_session (expires_at);

CREATE TABLE spent_proof (
    proof_hash BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
) /* clustered */;
CREATE INDEX spent_proof_by_expiry ON spent_proof (expires_at);

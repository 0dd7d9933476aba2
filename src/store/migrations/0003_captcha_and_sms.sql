CREATE TABLE captcha_token (
    token_hash BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
) /* clustered */;
CREATE INDEX captcha_token_by_expiry ON captcha_token (expires_at);

CREATE TABLE sms_count (
    name    TEXT NOT NULL PRIMARY KEY,
    sent    BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
) /* clustered */;
CREATE INDEX sms_count_by_end ON sms_count (ends_at);

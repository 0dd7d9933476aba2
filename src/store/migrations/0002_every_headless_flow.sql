ALTER TABLE app_user ADD COLUMN session_generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE authorization_code ADD COLUMN session_generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE access_token ADD COLUMN session_generation BIGINT NOT NULL DEFAULT 0;

CREATE TABLE login_hold (
    subject    TEXT NOT NULL PRIMARY KEY,
    failures   BIGINT NOT NULL,
    failed_at  BIGINT NOT NULL,
    held_until BIGINT
) /* clustered */;
CREATE INDEX login_hold_by_time ON login_hold (failed_at);

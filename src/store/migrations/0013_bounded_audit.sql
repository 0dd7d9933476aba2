ALTER TABLE audit_event ADD COLUMN count BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_event ADD COLUMN last_at BIGINT;
DROP INDEX audit_event_of_failed_logins;
CREATE INDEX audit_event_of_failures ON audit_event (at) WHERE event IN ('client.authentication_failed', 'code.replayed', 'login.failed', 'refresh_token.retried', 'registration.failed', 'verification.failed');
CREATE INDEX audit_event_of_sessions ON audit_event (at) WHERE event IN ('refresh_token.reused', 'token.revoked', 'user.logged_in');
CREATE INDEX challenge_of_drafts ON challenge (expires_at) WHERE payload IS NOT NULL;

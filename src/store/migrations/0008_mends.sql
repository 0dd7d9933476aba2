CREATE INDEX token_family_by_user ON token_family (user_id);
CREATE INDEX audit_event_of_failed_logins ON audit_event (at) WHERE event = 'login.failed';
CREATE INDEX outbox_by_expiry ON outbox (status, expires_at);

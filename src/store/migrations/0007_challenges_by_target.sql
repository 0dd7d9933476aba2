CREATE INDEX challenge_by_target ON challenge (target_key, purpose, created_at);

ALTER TABLE challenge ADD COLUMN reference_key TEXT NOT NULL DEFAULT '';
ALTER TABLE challenge ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE challenge ADD COLUMN requester TEXT NOT NULL DEFAULT 'other';
ALTER TABLE challenge ADD COLUMN code_seed BYTEA;
ALTER TABLE challenge ADD COLUMN sealed_code BYTEA;
ALTER TABLE challenge ADD COLUMN first_sent_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX challenge_by_reference ON challenge (reference_key, purpose, created_at);
CREATE INDEX challenge_by_code ON challenge (code_seed);

CREATE TABLE code_try (
    code_seed BYTEA NOT NULL,
    network   TEXT NOT NULL,
    tries     BIGINT NOT NULL,
    tried_at  BIGINT NOT NULL,
    PRIMARY KEY (code_seed, network)
) /* clustered */;
CREATE INDEX code_try_by_time ON code_try (tried_at);

CREATE TABLE known_network (
    user_id TEXT NOT NULL,
    network TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, network)
) /* clustered */;
CREATE INDEX known_network_by_time ON known_network (seen_at);

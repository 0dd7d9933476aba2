ALTER TABLE signing_key ADD COLUMN activated_at BIGINT;
ALTER TABLE signing_key ADD COLUMN retired_at BIGINT;
UPDATE signing_key SET activated_at = created_at;
UPDATE signing_key SET retired_at = created_at WHERE state = 'retired';
CREATE UNIQUE INDEX signing_key_in_turn ON signing_key (algorithm, state) WHERE state IN ('current', 'next');

-- Mail templates of administrators, by developer name (folder/Name).
CREATE TABLE template (
    name       TEXT NOT NULL PRIMARY KEY,
    flow       TEXT NOT NULL,
    language   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    subject    TEXT NOT NULL,
    text       TEXT NOT NULL,
    html       TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

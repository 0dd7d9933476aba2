CREATE TABLE tally (
    subject TEXT NOT NULL,
    hour    BIGINT NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (subject, hour)
) /* clustered */;
CREATE INDEX tally_by_hour ON tally (hour);

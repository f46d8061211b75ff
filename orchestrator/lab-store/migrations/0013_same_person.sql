-- 13 same person: ids of learning platforms that are one person, because somebody said so.

CREATE TABLE same_person (
    alias   TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    at      {int} NOT NULL,
    said_by TEXT NOT NULL,
    CHECK (alias <> subject)
) {strict};
CREATE INDEX same_person_subject ON same_person (subject);

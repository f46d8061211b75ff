-- 7 grades: the outbox of what goes back to courses.

-- A learner's grade at one place of a platform: a line item (LTI 1.3), or a resource link (1.1). `address` is JSON of what the last
-- launch said; it may hold a sourcedid, with which whoever has the platform's secret can write that one grade.
CREATE TABLE grade (
    id            {serial},
    registration  TEXT NOT NULL,
    platform_user TEXT NOT NULL,
    place         TEXT NOT NULL,
    subject       TEXT NOT NULL,
    course        TEXT NOT NULL,
    lab           TEXT NOT NULL,
    title         TEXT NOT NULL,
    resource_link TEXT NOT NULL,
    address       TEXT NOT NULL,
    line_item     TEXT,
    given         {int},
    maximum       {int},
    revision      {int} NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('idle', 'pending', 'sent', 'failed')),
    attempts      {int} NOT NULL,
    next_at       {int} NOT NULL,
    pending_since {int} NOT NULL,
    -- seconds since 1970 that the last score carried: the next one carries more
    stamp         {int} NOT NULL,
    sent_given    {int},
    sent_maximum  {int},
    sent_at       {int},
    code          TEXT,
    detail        TEXT,
    -- of the lease that wrote last, for people who read the table
    epoch         {int},
    CHECK ((given IS NULL) = (maximum IS NULL) AND (given IS NULL) = (state = 'idle')),
    CHECK (maximum > 0 AND given >= 0 AND given <= maximum)
) {strict};
CREATE UNIQUE INDEX grade_place ON grade (registration, platform_user, place);
CREATE INDEX grade_of_learner ON grade (subject, course, lab);
CREATE INDEX grade_pending ON grade (next_at) WHERE state = 'pending';
CREATE INDEX grade_state ON grade (state);

-- Line items that were found or made, by the list they are in.
CREATE TABLE grade_line_item (
    registration TEXT NOT NULL,
    line_items   TEXT NOT NULL,
    lab          TEXT NOT NULL,
    line_item    TEXT NOT NULL,
    PRIMARY KEY (registration, line_items, lab)
) {strict};

-- The learner's runs of a lab, whenever a check of one of them is kept.
CREATE INDEX session_of_learner ON session (subject, course, lab);

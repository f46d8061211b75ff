-- 17 authors and counts: authors try labs, and no plan pays; how a course went, and when.

-- A session refers to a plan; this row stands for none, and no list of plans has it.
INSERT INTO plan (id, name_en, name_fr, labs, concurrency_max, seconds, valid_days)
VALUES ('test-run', 'Test run', 'Essai', 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING;

-- When a check first passed in a session; of those that were kept before, the last time it did.
ALTER TABLE check_outcome ADD COLUMN first_passed_at {int};
UPDATE check_outcome SET first_passed_at = checked_at WHERE passed = 1;

-- What counts as what in a course's indicators. Labs are JSON lists of ids.
CREATE TABLE course_rule (
    course       TEXT NOT NULL PRIMARY KEY,
    first_week   TEXT NOT NULL,
    second_week  TEXT NOT NULL,
    labs         TEXT NOT NULL,
    pass_percent {int} NOT NULL CHECK (pass_percent BETWEEN 0 AND 100)
) {strict};

-- Courses that are compared, and followed from one to the next, in their order.
CREATE TABLE course_series (
    series TEXT NOT NULL,
    course TEXT NOT NULL,
    place  {int} NOT NULL,
    PRIMARY KEY (series, course)
) {strict};
CREATE INDEX course_series_course ON course_series (course);

-- 11 courses: when their labs can be started, and who is in them.

-- A course without a row is always open. Titles are in `course`.
CREATE TABLE course_run (
    course    TEXT NOT NULL PRIMARY KEY,
    opens_at  {int},
    closes_at {int},
    -- what pages write the two in; they are moments, in UTC
    zone      TEXT,
    site      TEXT,
    CHECK (closes_at > opens_at)
) {strict};

-- One learner's end, where it is later than the run's.
CREATE TABLE course_extension (
    course   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    until_at {int} NOT NULL,
    given_at {int} NOT NULL,
    PRIMARY KEY (course, subject)
) {strict};
CREATE INDEX course_extension_subject ON course_extension (subject);

-- Scheduled classes: so many sandboxes of the lab are ready when one begins.
CREATE TABLE course_class (
    course    TEXT NOT NULL,
    lab       TEXT NOT NULL,
    starts_at {int} NOT NULL,
    ends_at   {int} NOT NULL,
    room      TEXT NOT NULL,
    learners  {int} NOT NULL,
    PRIMARY KEY (course, lab, starts_at),
    CHECK (ends_at > starts_at AND learners > 0)
) {strict};
CREATE INDEX course_class_end ON course_class (ends_at);

-- Who is in a course, as its organiser wrote them down. Nobody needs a row to use a link.
CREATE TABLE enrolment (
    course      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    name        TEXT NOT NULL,
    cohort      TEXT,
    site        TEXT,
    coach       TEXT,
    external    TEXT,
    plan        TEXT,
    enrolled_at {int} NOT NULL,
    PRIMARY KEY (course, subject)
) {strict};
CREATE INDEX enrolment_subject ON enrolment (subject);
CREATE INDEX enrolment_coach ON enrolment (coach) WHERE coach IS NOT NULL;

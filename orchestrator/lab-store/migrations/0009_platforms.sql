-- 9 platforms: those that may register themselves (LTI dynamic registration) or did and wait for a yes; and where each tells who is in a course.

-- `secret` is a hash. The last four are there once a platform came, as they are in lti_registration.
CREATE TABLE lti_invitation (
    id         TEXT NOT NULL PRIMARY KEY,
    secret     {bytes} NOT NULL UNIQUE,
    course     TEXT,
    plan       TEXT,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    waiting_at {int},
    product    TEXT,
    issuer     TEXT,
    client_id  TEXT,
    settings   TEXT,
    CHECK ((waiting_at IS NULL) = (settings IS NULL) AND (settings IS NULL) = (issuer IS NULL)
        AND (issuer IS NULL) = (client_id IS NULL) AND (client_id IS NULL) = (product IS NULL))
) {strict};

-- Where a platform lists the people of a course (NRPS). The people themselves are asked for and never kept.
CREATE TABLE lti_roster (
    registration TEXT NOT NULL,
    course       TEXT NOT NULL,
    url          TEXT NOT NULL,
    PRIMARY KEY (registration, course)
) {strict};
CREATE INDEX lti_roster_course ON lti_roster (course);

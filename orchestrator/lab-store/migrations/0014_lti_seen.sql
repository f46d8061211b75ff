-- 14 lti seen: what a refused launch says it is of, and when a registration's launches last worked.

-- The issuer (LTI 1.3) or consumer key (1.1) of a launch, also where no registration has it.
ALTER TABLE lti_attempt ADD COLUMN platform TEXT;

-- The newest launch of each registration that was taken.
CREATE TABLE lti_launched (
    registration TEXT NOT NULL PRIMARY KEY,
    at           {int} NOT NULL
) {strict};

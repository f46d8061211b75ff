-- 9 invitations: platforms that may register themselves (LTI dynamic registration), and those that did and wait for a yes.

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

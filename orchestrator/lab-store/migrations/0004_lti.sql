-- 4 lti: learning platforms, logins they began, our key pairs, and launches that were refused.

-- A platform (LTI 1.3) or one of its keys (LTI 1.1). `settings` is JSON of what nobody looks up by. A secret is there as it is:
-- signatures are made with it.
CREATE TABLE lti_registration (
    id           TEXT NOT NULL PRIMARY KEY,
    course       TEXT,
    plan         TEXT,
    created_at   {int} NOT NULL,
    issuer       TEXT,
    client_id    TEXT,
    consumer_key TEXT UNIQUE,
    settings     TEXT NOT NULL,
    UNIQUE (issuer, client_id),
    CHECK ((consumer_key IS NULL) = (issuer IS NOT NULL) AND (issuer IS NULL) = (client_id IS NULL))
) {strict};

-- Logins that were begun; secrets are hashes. That a state is used once is a row of launch_used.
CREATE TABLE lti_state (
    state        {bytes} NOT NULL PRIMARY KEY,
    nonce        {bytes} NOT NULL,
    browser      {bytes} NOT NULL,
    registration TEXT NOT NULL,
    target       TEXT NOT NULL,
    initiation   TEXT NOT NULL,
    expires_at   {int} NOT NULL
) {strict};
CREATE INDEX lti_state_expires ON lti_state (expires_at);

-- Our own key pairs. The highest ordinal signs; its uniqueness lets one of several that rotate at once win.
CREATE TABLE lti_key (
    kid        TEXT NOT NULL PRIMARY KEY,
    ordinal    {int} NOT NULL UNIQUE,
    private    TEXT NOT NULL,
    created_at {int} NOT NULL,
    retire_at  {int}
) {strict};

CREATE TABLE lti_attempt (
    id           {serial},
    at           {int} NOT NULL,
    registration TEXT,
    version      TEXT NOT NULL,
    code         TEXT NOT NULL,
    step         {int} NOT NULL,
    detail       TEXT NOT NULL
) {strict};

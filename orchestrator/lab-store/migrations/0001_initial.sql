-- 1 initial: the whole schema of the first release.
--
-- One text for both dialects. What differs is written as {int} (64 bits), {bytes}, {serial} (a number the database gives
-- out) and {strict}, or stands between `--[sqlite]` / `--[postgres]` and `--[both]`. See `src/migrate.rs`.
-- Ids are text, so that a person with a database shell can read them; times are microseconds since 1970, UTC.

CREATE TABLE course (
    id    TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL
) {strict};

-- launch ----------------------------------------------------------------------------------------------------------------

-- Launch tokens that were presented, until they would have expired anyway.
CREATE TABLE launch_used (
    id         TEXT NOT NULL PRIMARY KEY,
    used_at    {int} NOT NULL,
    keep_until {int} NOT NULL
) {strict};
CREATE INDEX launch_used_keep ON launch_used (keep_until);

CREATE TABLE login (
    id             TEXT NOT NULL PRIMARY KEY,
    subject        TEXT NOT NULL,
    name           TEXT NOT NULL,
    role           TEXT NOT NULL,
    course         TEXT NOT NULL,
    lab            TEXT,
    plan           TEXT,
    created_at     {int} NOT NULL,
    expires_at     {int} NOT NULL,
    -- hashes; the bearers themselves are nowhere
    bearer         {bytes} NOT NULL UNIQUE,
    previous       {bytes},
    previous_until {int}
) {strict};
CREATE INDEX login_previous ON login (previous);
CREATE INDEX login_expires ON login (expires_at);

CREATE TABLE ticket (
    hash       {bytes} NOT NULL PRIMARY KEY,
    login      TEXT NOT NULL REFERENCES login (id) ON DELETE CASCADE,
    -- JSON of TicketScope
    scope      TEXT NOT NULL,
    expires_at {int} NOT NULL
) {strict};
CREATE INDEX ticket_expires ON ticket (expires_at);
CREATE INDEX ticket_login ON ticket (login);

-- entitlement -----------------------------------------------------------------------------------------------------------

CREATE TABLE plan (
    id              TEXT NOT NULL PRIMARY KEY,
    name_en         TEXT NOT NULL,
    name_fr         TEXT NOT NULL,
    labs            {int} NOT NULL CHECK (labs IN (0, 1)),
    concurrency_max {int} NOT NULL,
    seconds         {int} NOT NULL,
    valid_days      {int} NOT NULL
) {strict};

-- GRANT is a keyword of SQL.
CREATE TABLE lab_grant (
    id           TEXT NOT NULL PRIMARY KEY,
    subject      TEXT NOT NULL,
    course       TEXT NOT NULL,
    plan         TEXT NOT NULL REFERENCES plan (id),
    seconds      {int} NOT NULL CHECK (seconds >= 0),
    priority     {int} NOT NULL,
    effective_at {int} NOT NULL,
    expires_at   {int} NOT NULL,
    created_at   {int} NOT NULL,
    source       TEXT NOT NULL
) {strict};
CREATE INDEX lab_grant_subject ON lab_grant (subject, course);

-- provisioning ----------------------------------------------------------------------------------------------------------

-- An immutable lab file: as it was written, and (JSON) as it was understood when it was published, so that rules which
-- grow stricter later do not take it away from those who run it.
CREATE TABLE lab_version (
    digest       TEXT NOT NULL PRIMARY KEY,
    lab          TEXT NOT NULL,
    source       TEXT NOT NULL,
    file         TEXT NOT NULL,
    published_at {int} NOT NULL
) {strict};
CREATE TABLE lab (
    id     TEXT NOT NULL PRIMARY KEY,
    latest TEXT NOT NULL REFERENCES lab_version (digest)
) {strict};

CREATE TABLE session (
    id           TEXT NOT NULL PRIMARY KEY,
    subject      TEXT NOT NULL,
    name         TEXT NOT NULL,
    course       TEXT NOT NULL,
    lab          TEXT NOT NULL,
    digest       TEXT NOT NULL REFERENCES lab_version (digest),
    plan         TEXT NOT NULL REFERENCES plan (id),
    sandbox      TEXT NOT NULL UNIQUE,
    state        TEXT NOT NULL,
    reason       TEXT,
    detail       TEXT,
    revision     {int} NOT NULL,
    requested_at {int} NOT NULL,
    ready_at     {int},
    over_at      {int},
    -- the agent's clock
    ready_us     {int},
    seen_us      {int},
    active_at    {int} NOT NULL,
    deadline     {int},
    CHECK ((over_at IS NULL) = (state NOT IN ('ended', 'failed')))
) {strict};
-- One running session a learner, course and lab: `admit` looks first, and this holds whatever it does. One that is
-- stopping does not count: nobody can go back to it, and a new click must not wait for its end.
CREATE UNIQUE INDEX session_running ON session (subject, course, lab)
    WHERE state NOT IN ('stopping', 'ended', 'failed');
CREATE INDEX session_live ON session (requested_at) WHERE over_at IS NULL;
CREATE INDEX session_course ON session (course, requested_at);
CREATE INDEX session_subject ON session (subject, requested_at);

CREATE TABLE session_transition (
    session     TEXT NOT NULL REFERENCES session (id),
    revision    {int} NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    detail      TEXT,
    occurred_at {int} NOT NULL,
    cause       TEXT NOT NULL,
    PRIMARY KEY (session, revision)
) {strict};

-- metering --------------------------------------------------------------------------------------------------------------

-- A transaction's entries are written first and its own row last, which the deferred key allows. So the row's trigger sees
-- all of them and holds their sum to zero, no entry can come to a transaction that is there, and none can be without one.
CREATE TABLE ledger_tx (
    id          TEXT NOT NULL PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('issue', 'reserve', 'settle', 'void', 'refund')),
    session     TEXT REFERENCES session (id),
    -- order within the session, from 0
    ordinal     {int} NOT NULL,
    reason      TEXT,
    occurred_at {int} NOT NULL,
    UNIQUE (session, ordinal)
) {strict};
CREATE TABLE ledger_entry (
    tx       TEXT NOT NULL REFERENCES ledger_tx (id) DEFERRABLE INITIALLY DEFERRED,
    position {int} NOT NULL,
    account  TEXT NOT NULL,
    seconds  {int} NOT NULL CHECK (seconds <> 0),
    PRIMARY KEY (tx, position)
) {strict};
CREATE INDEX ledger_entry_account ON ledger_entry (account, seconds);

--[sqlite]
CREATE TRIGGER ledger_tx_sum BEFORE INSERT ON ledger_tx
WHEN (SELECT COALESCE(SUM(seconds), 1) FROM ledger_entry WHERE tx = NEW.id) <> 0
BEGIN SELECT RAISE(ABORT, 'ledger_tx: entries do not sum to zero'); END;
CREATE TRIGGER ledger_entry_late BEFORE INSERT ON ledger_entry
WHEN EXISTS (SELECT 1 FROM ledger_tx WHERE id = NEW.tx)
BEGIN SELECT RAISE(ABORT, 'ledger_entry: the transaction is complete'); END;
CREATE TRIGGER ledger_tx_update BEFORE UPDATE ON ledger_tx BEGIN SELECT RAISE(ABORT, 'ledger_tx: append only'); END;
CREATE TRIGGER ledger_tx_delete BEFORE DELETE ON ledger_tx BEGIN SELECT RAISE(ABORT, 'ledger_tx: append only'); END;
CREATE TRIGGER ledger_entry_update BEFORE UPDATE ON ledger_entry BEGIN SELECT RAISE(ABORT, 'ledger_entry: append only'); END;
CREATE TRIGGER ledger_entry_delete BEFORE DELETE ON ledger_entry BEGIN SELECT RAISE(ABORT, 'ledger_entry: append only'); END;
--[postgres]
CREATE FUNCTION ledger_tx_sum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT COALESCE(SUM(seconds), 1) FROM ledger_entry WHERE tx = NEW.id) <> 0 THEN
        RAISE EXCEPTION 'ledger_tx: entries do not sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION ledger_entry_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ledger_tx WHERE id = NEW.tx) THEN
        RAISE EXCEPTION 'ledger_entry: the transaction is complete' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: append only', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER ledger_tx_sum BEFORE INSERT ON ledger_tx FOR EACH ROW EXECUTE FUNCTION ledger_tx_sum();
CREATE TRIGGER ledger_entry_late BEFORE INSERT ON ledger_entry FOR EACH ROW EXECUTE FUNCTION ledger_entry_late();
CREATE TRIGGER ledger_tx_update BEFORE UPDATE OR DELETE ON ledger_tx FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_entry_update BEFORE UPDATE OR DELETE ON ledger_entry FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
--[both]

-- One row a session that is over and settled (or voided): sandbox time and what became of it.
CREATE TABLE usage (
    session          TEXT NOT NULL PRIMARY KEY REFERENCES session (id),
    sandbox_seconds  {int} NOT NULL,
    billed_seconds   {int} NOT NULL,
    unbilled_seconds {int} NOT NULL,
    unbilled_reason  TEXT,
    settled_at       {int} NOT NULL,
    CHECK (billed_seconds >= 0 AND unbilled_seconds >= 0 AND billed_seconds + unbilled_seconds = sandbox_seconds)
) {strict};

-- recording -------------------------------------------------------------------------------------------------------------

CREATE TABLE recording (
    session      TEXT NOT NULL PRIMARY KEY REFERENCES session (id),
    opened_at    {int} NOT NULL,
    end_offset   {int} NOT NULL,
    chain        {bytes} NOT NULL,
    chunks       {int} NOT NULL,
    last_us      {int} NOT NULL,
    -- highest lease epoch that wrote; a lower one is refused
    epoch        {int} NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'complete', 'cut')),
    state_at     {int},
    state_reason TEXT
) {strict};
CREATE TABLE recording_chunk (
    session      TEXT NOT NULL REFERENCES recording (session),
    start_offset {int} NOT NULL,
    end_offset   {int} NOT NULL,
    chain        {bytes} NOT NULL,
    key          TEXT NOT NULL,
    appended_at  {int} NOT NULL,
    PRIMARY KEY (session, start_offset),
    CHECK (start_offset < end_offset)
) {strict};

-- checks, audit, leases -------------------------------------------------------------------------------------------------

-- The last outcome of each check, and the best there ever was.
CREATE TABLE check_outcome (
    session     TEXT NOT NULL REFERENCES session (id),
    check_id    TEXT NOT NULL,
    passed      {int} NOT NULL CHECK (passed IN (0, 1)),
    points      {int} NOT NULL,
    detail      TEXT NOT NULL,
    checked_at  {int} NOT NULL,
    best_points {int} NOT NULL,
    PRIMARY KEY (session, check_id)
) {strict};

CREATE TABLE audit (
    id          {serial},
    occurred_at {int} NOT NULL,
    actor       TEXT NOT NULL,
    actor_name  TEXT NOT NULL,
    role        TEXT NOT NULL,
    action      TEXT NOT NULL,
    session     TEXT,
    detail      TEXT NOT NULL
) {strict};
CREATE INDEX audit_time ON audit (occurred_at, id);
CREATE INDEX audit_session ON audit (session, occurred_at, id);

-- Rows are never deleted: the epoch must not fall.
CREATE TABLE lease (
    name       TEXT NOT NULL PRIMARY KEY,
    holder     TEXT NOT NULL,
    epoch      {int} NOT NULL,
    expires_at {int} NOT NULL
) {strict};

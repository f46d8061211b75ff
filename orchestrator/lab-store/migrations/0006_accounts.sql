-- accounts: sponsors, budgets, alerts and their outbox, what lab time costs, reconciliations.

ALTER TABLE lab_grant ADD COLUMN sponsor TEXT;
ALTER TABLE voucher_batch ADD COLUMN sponsor TEXT;
CREATE INDEX lab_grant_sponsor ON lab_grant (sponsor) WHERE sponsor IS NOT NULL;
CREATE INDEX lab_grant_course ON lab_grant (course);

CREATE TABLE budget (
    kind    TEXT NOT NULL CHECK (kind IN ('course', 'sponsor')),
    id      TEXT NOT NULL,
    seconds {int} NOT NULL CHECK (seconds > 0),
    PRIMARY KEY (kind, id)
) {strict};

-- Once each: the key says of what, of which basis, and at which threshold. A row of the outbox a channel.
CREATE TABLE alert (
    id        TEXT NOT NULL PRIMARY KEY,
    line      TEXT NOT NULL,
    percent   {int} NOT NULL,
    raised_at {int} NOT NULL,
    -- JSON of Alert
    body      TEXT NOT NULL
) {strict};
CREATE INDEX alert_line ON alert (line, percent);
CREATE INDEX alert_raised ON alert (raised_at);
CREATE TABLE alert_outbox (
    alert    TEXT NOT NULL REFERENCES alert (id),
    channel  TEXT NOT NULL CHECK (channel IN ('webhook', 'mail')),
    attempts {int} NOT NULL,
    -- none: it was sent, or given up
    due_at   {int},
    sent_at  {int},
    code     TEXT,
    -- of the lease that wrote last, for people who read the table
    epoch    {int},
    PRIMARY KEY (alert, channel)
) {strict};
CREATE INDEX alert_outbox_due ON alert_outbox (due_at) WHERE due_at IS NOT NULL;

-- The card in force, by size; what was admitted by another one keeps its own rate.
CREATE TABLE rate_card (
    size                 TEXT NOT NULL PRIMARY KEY,
    version              TEXT NOT NULL,
    micro_eur_per_second {int} NOT NULL CHECK (micro_eur_per_second >= 0)
) {strict};
ALTER TABLE session ADD COLUMN rate_version TEXT;
ALTER TABLE session ADD COLUMN rate_micro_eur {int};
ALTER TABLE pool_sandbox ADD COLUMN rate_version TEXT;
ALTER TABLE pool_sandbox ADD COLUMN rate_micro_eur {int};

-- In micro-euros, and in a table of its own: no sum of the ledger can mix them with seconds.
CREATE TABLE cost (
    id        TEXT NOT NULL PRIMARY KEY,
    account   TEXT NOT NULL CHECK (account IN ('session', 'overhead')),
    sandbox   TEXT NOT NULL,
    session   TEXT REFERENCES session (id),
    lab       TEXT NOT NULL,
    seconds   {int} NOT NULL CHECK (seconds >= 0),
    version   TEXT NOT NULL,
    micro_eur {int} NOT NULL CHECK (micro_eur >= 0),
    booked_at {int} NOT NULL,
    CHECK ((session IS NOT NULL) = (account = 'session'))
) {strict};
CREATE INDEX cost_session ON cost (session) WHERE session IS NOT NULL;
CREATE INDEX cost_overhead ON cost (booked_at) WHERE account = 'overhead';

CREATE TABLE reconciliation (
    at    {int} NOT NULL PRIMARY KEY,
    -- JSON of the lines
    lines TEXT NOT NULL
) {strict};

--[sqlite]
CREATE TRIGGER cost_update BEFORE UPDATE ON cost BEGIN SELECT RAISE(ABORT, 'cost: append only'); END;
CREATE TRIGGER cost_delete BEFORE DELETE ON cost BEGIN SELECT RAISE(ABORT, 'cost: append only'); END;
--[postgres]
CREATE TRIGGER cost_update BEFORE UPDATE OR DELETE ON cost FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER cost_truncate BEFORE TRUNCATE ON cost FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
--[both]

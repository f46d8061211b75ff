-- 5 money: plans complete, grants that end, vouchers, sessions that stand still.

-- What a plan limits beside its time, and what it includes. A program of the release before knows none of it and limits nothing.
ALTER TABLE plan ADD COLUMN session_secs_max {int};
ALTER TABLE plan ADD COLUMN daily_secs_max {int};
ALTER TABLE plan ADD COLUMN minimum_secs {int} NOT NULL DEFAULT 60;
-- codes, by commas
ALTER TABLE plan ADD COLUMN features TEXT NOT NULL DEFAULT 'observe,coached,recorded';
-- JSON of Offer
ALTER TABLE plan ADD COLUMN offer TEXT;

ALTER TABLE lab_grant ADD COLUMN voided_at {int};
ALTER TABLE lab_grant ADD COLUMN voided_reason TEXT;
-- When what was left was taken off it: after its end, once. From then on what comes back to it goes on to where that went.
ALTER TABLE lab_grant ADD COLUMN swept_at {int};
CREATE INDEX lab_grant_unswept ON lab_grant (expires_at) WHERE swept_at IS NULL;

ALTER TABLE session ADD COLUMN frozen_at {int};
ALTER TABLE session ADD COLUMN frozen_us {int} NOT NULL DEFAULT 0;

CREATE TABLE voucher_batch (
    id             TEXT NOT NULL PRIMARY KEY,
    label          TEXT NOT NULL,
    course         TEXT NOT NULL,
    plan           TEXT NOT NULL REFERENCES plan (id),
    seconds        {int} NOT NULL CHECK (seconds > 0),
    valid_days     {int} NOT NULL,
    priority       {int} NOT NULL,
    created_at     {int} NOT NULL,
    expires_at     {int} NOT NULL,
    -- id of the key of the hashes below
    key            TEXT NOT NULL,
    revoked_at     {int},
    revoked_reason TEXT
) {strict};
CREATE TABLE voucher (
    -- a keyed hash; the code itself is nowhere
    code        {bytes} NOT NULL PRIMARY KEY,
    batch       TEXT NOT NULL REFERENCES voucher_batch (id),
    redeemed_by TEXT,
    redeemed_at {int},
    grant_id    TEXT,
    CHECK ((redeemed_by IS NULL) = (redeemed_at IS NULL) AND (redeemed_by IS NULL) = (grant_id IS NULL))
) {strict};
CREATE INDEX voucher_of_batch ON voucher (batch, redeemed_at);

-- Wrong codes of a learner since a time. A row is locked by each redemption of its learner, so that nobody guesses fifty at once.
CREATE TABLE voucher_guess (
    subject TEXT NOT NULL PRIMARY KEY,
    since   {int} NOT NULL,
    wrong   {int} NOT NULL
) {strict};

--[postgres]
-- Rows are held by triggers since the first schema; this holds the tables.
CREATE TRIGGER ledger_tx_truncate BEFORE TRUNCATE ON ledger_tx FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_entry_truncate BEFORE TRUNCATE ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
-- A role that may only add to the ledger may not write its sums by itself: the trigger does, in its owner's name.
ALTER FUNCTION ledger_sum_keep() SECURITY DEFINER SET search_path FROM CURRENT;
--[both]

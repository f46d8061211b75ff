-- 8 privacy: who was told what is recorded, whom a look was at, what was removed and whether its objects are gone.

-- No row, no session: `admit` asks for it, and whoever is forgotten has none.
CREATE TABLE notice_ack (
    subject         TEXT NOT NULL,
    version         TEXT NOT NULL,
    acknowledged_at {int} NOT NULL,
    PRIMARY KEY (subject, version)
) {strict};

-- Of a whole course (its wall), or of one person and no single session.
ALTER TABLE audit ADD COLUMN course TEXT;
ALTER TABLE audit ADD COLUMN about TEXT;
CREATE INDEX audit_course ON audit (course, occurred_at) WHERE course IS NOT NULL;
CREATE INDEX audit_about ON audit (about) WHERE about IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor);

-- From `removed_at` on nobody reads or writes it; its objects are deleted (`cleared_at`), and looked for once more an hour later
-- (`swept_at`): a recorder that was at work may have put one since.
ALTER TABLE recording ADD COLUMN removed_at {int};
ALTER TABLE recording ADD COLUMN cleared_at {int};
ALTER TABLE recording ADD COLUMN swept_at {int};
CREATE INDEX recording_kept ON recording (opened_at) WHERE removed_at IS NULL;
CREATE INDEX recording_removed ON recording (removed_at) WHERE removed_at IS NOT NULL AND swept_at IS NULL;

-- Its learner was forgotten: it takes no recording and no check any more.
ALTER TABLE session ADD COLUMN erased_at {int};
CREATE INDEX session_named ON session (over_at) WHERE over_at IS NOT NULL AND name <> subject;
CREATE INDEX check_outcome_time ON check_outcome (checked_at);
CREATE INDEX login_subject ON login (subject);
CREATE INDEX voucher_redeemed_by ON voucher (redeemed_by) WHERE redeemed_by IS NOT NULL;

-- What went so far, by class of data.
CREATE TABLE retention_run (
    class   TEXT NOT NULL PRIMARY KEY,
    ran_at  {int} NOT NULL,
    removed {int} NOT NULL
) {strict};

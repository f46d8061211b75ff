-- 3 operations: the ledger's sums as they grow, the pause of new launches, and what the operations page counts.

-- The ledger's sums by kind of account, so that whether it adds up can be asked often without reading it. Each kind has a row per
-- last hex digit of the session (or transaction) they are of: transactions of different sessions that commit side by side rarely wait
-- for the same row. The triggers keep them, so that a program of the release before keeps them too during a roll-out.
CREATE TABLE ledger_sum (
    kind    TEXT NOT NULL CHECK (kind IN ('extern', 'grant', 'hold', 'used')),
    shard   TEXT NOT NULL,
    seconds {int} NOT NULL,
    PRIMARY KEY (kind, shard)
) {strict};

INSERT INTO ledger_sum (kind, shard, seconds)
SELECT CASE WHEN e.account LIKE 'grant:%' THEN 'grant' WHEN e.account LIKE 'hold:%' THEN 'hold'
            WHEN e.account LIKE 'used:%' THEN 'used' ELSE 'extern' END AS kind,
       substr(COALESCE(t.session, t.id), length(COALESCE(t.session, t.id)), 1) AS shard,
       CAST(SUM(e.seconds) AS BIGINT)
FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id
GROUP BY 1, 2;

-- Rows are taken in the order of their kinds, which is the same in every transaction: they cannot wait for each other in a circle.
--[sqlite]
CREATE TRIGGER ledger_sum_keep AFTER INSERT ON ledger_tx
BEGIN
    INSERT INTO ledger_sum (kind, shard, seconds)
    SELECT CASE WHEN e.account LIKE 'grant:%' THEN 'grant' WHEN e.account LIKE 'hold:%' THEN 'hold'
                WHEN e.account LIKE 'used:%' THEN 'used' ELSE 'extern' END AS kind,
           substr(COALESCE(NEW.session, NEW.id), length(COALESCE(NEW.session, NEW.id)), 1) AS shard,
           SUM(e.seconds)
    FROM ledger_entry e WHERE e.tx = NEW.id
    GROUP BY 1, 2 ORDER BY 1
    ON CONFLICT (kind, shard) DO UPDATE SET seconds = ledger_sum.seconds + excluded.seconds;
END;
--[postgres]
CREATE FUNCTION ledger_sum_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_sum (kind, shard, seconds)
    SELECT CASE WHEN e.account LIKE 'grant:%' THEN 'grant' WHEN e.account LIKE 'hold:%' THEN 'hold'
                WHEN e.account LIKE 'used:%' THEN 'used' ELSE 'extern' END AS kind,
           substr(COALESCE(NEW.session, NEW.id), length(COALESCE(NEW.session, NEW.id)), 1) AS shard,
           CAST(SUM(e.seconds) AS BIGINT)
    FROM ledger_entry e WHERE e.tx = NEW.id
    GROUP BY 1, 2 ORDER BY 1
    ON CONFLICT (kind, shard) DO UPDATE SET seconds = ledger_sum.seconds + excluded.seconds;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_sum_keep AFTER INSERT ON ledger_tx FOR EACH ROW EXECUTE FUNCTION ledger_sum_keep();
--[both]

-- One row while new launches are paused, none otherwise.
CREATE TABLE launch_pause (
    id         {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    reason     TEXT NOT NULL,
    back_at    {int},
    since      {int} NOT NULL,
    actor      TEXT NOT NULL,
    actor_name TEXT NOT NULL
) {strict};

-- What went wrong in the last day is counted from the index alone.
CREATE INDEX session_over ON session (over_at, state, reason, lab) WHERE over_at IS NOT NULL;
CREATE INDEX session_live_state ON session (state) WHERE over_at IS NULL;

-- A lease's row stays for ever, and every session has had one for its recorder: those that are held are few.
CREATE INDEX lease_recorder ON lease (holder, expires_at) WHERE holder <> '' AND substr(name, 1, 9) = 'recorder/';
CREATE INDEX lease_task ON lease (name) WHERE substr(name, 1, 9) <> 'recorder/';

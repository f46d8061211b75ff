-- 2 pools: sandboxes kept warm for the next click.

-- Its sandbox was warm when it was claimed. A program that knows nothing of pools claims none.
ALTER TABLE session ADD COLUMN warm {int} NOT NULL DEFAULT 0;

CREATE TABLE pool_sandbox (
    sandbox    TEXT NOT NULL PRIMARY KEY,
    -- the id that the session which claims it takes
    session    TEXT NOT NULL UNIQUE,
    lab        TEXT NOT NULL,
    digest     TEXT NOT NULL REFERENCES lab_version (digest),
    state      TEXT NOT NULL CHECK (state IN ('making', 'ready', 'claimed', 'draining')),
    reason     TEXT,
    made_at    {int} NOT NULL,
    ready_at   {int},
    -- the agent's clock
    ready_us   {int},
    claimed_at {int},
    -- of the lease that wrote last, for people who read the table
    epoch      {int} NOT NULL,
    CHECK ((claimed_at IS NOT NULL) = (state = 'claimed'))
) {strict};
CREATE INDEX pool_sandbox_ready ON pool_sandbox (digest, made_at) WHERE state = 'ready';

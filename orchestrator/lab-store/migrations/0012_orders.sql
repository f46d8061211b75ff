-- 12 orders: shops that order lab time by keys of their own.

CREATE TABLE order_key (
    id          TEXT NOT NULL PRIMARY KEY,
    shop        TEXT NOT NULL,
    -- a keyed hash; the key itself is nowhere
    hash        {bytes} NOT NULL,
    -- id of the key of the hash
    key         TEXT NOT NULL,
    -- JSON of lists: what may be ordered
    courses     TEXT NOT NULL,
    plans       TEXT NOT NULL,
    sponsor     TEXT,
    grants_max  {int} CHECK (grants_max >= 0),
    seconds_max {int} CHECK (seconds_max >= 0),
    created_at  {int} NOT NULL,
    revoked_at  {int}
) {strict};
CREATE INDEX order_key_shop ON order_key (shop);

-- Whose it is, of which course and plan, says the grant, which an erasure renames.
CREATE TABLE lab_order (
    shop             TEXT NOT NULL,
    number           TEXT NOT NULL,
    order_key        TEXT NOT NULL REFERENCES order_key (id),
    grant_id         TEXT NOT NULL UNIQUE REFERENCES lab_grant (id),
    -- as the shop asked; none: what the plan says
    asked_seconds    {int},
    asked_expires_at {int},
    cancelled_at     {int},
    cancelled_reason TEXT,
    taken_back       {int},
    PRIMARY KEY (shop, number),
    CHECK ((cancelled_at IS NULL) = (cancelled_reason IS NULL) AND (cancelled_at IS NULL) = (taken_back IS NULL))
) {strict};

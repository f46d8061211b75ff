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
    site        TEXT,
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

-- Who gives without being asked each time (a registration), within what was agreed; source: as in lab_grant.
CREATE TABLE giver (
    source      TEXT NOT NULL PRIMARY KEY,
    -- JSON of a list: what its launches may ask for
    plans       TEXT NOT NULL,
    site        TEXT,
    grants_max  {int} CHECK (grants_max >= 0),
    seconds_max {int} CHECK (seconds_max >= 0)
) {strict};
CREATE INDEX lab_grant_source ON lab_grant (source);

-- What a learner's last launch asked for and was not given.
CREATE TABLE grant_withheld (
    subject TEXT NOT NULL,
    course  TEXT NOT NULL,
    plan    TEXT NOT NULL,
    why     TEXT NOT NULL CHECK (why IN ('budget-spent', 'plan-not-offered')),
    at      {int} NOT NULL,
    PRIMARY KEY (subject, course)
) {strict};

-- JSON of VoucherTerms. Written before its batch, so that no code is ever without them.
CREATE TABLE voucher_terms (
    batch TEXT NOT NULL PRIMARY KEY,
    terms TEXT NOT NULL
) {strict};

-- Where its learner is: a school, a room, a city. By what gave it: vouchers, a shop's key, a registration.
ALTER TABLE lab_grant ADD COLUMN site TEXT;
CREATE INDEX lab_grant_site ON lab_grant (site) WHERE site IS NOT NULL;

-- 16 money: what kind of place a site is; which voucher gave a grant, for statements that say what it was sold for.

CREATE TABLE site (
    id   TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('fablab', 'company', 'school'))
) {strict};

CREATE UNIQUE INDEX voucher_grant ON voucher (grant_id) WHERE grant_id IS NOT NULL;

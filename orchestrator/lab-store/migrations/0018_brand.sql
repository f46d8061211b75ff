-- 18 brand: in whose name the labs of a site's learners are shown.

CREATE TABLE site_brand (
    site TEXT NOT NULL PRIMARY KEY,
    en   TEXT NOT NULL,
    fr   TEXT NOT NULL
) {strict};

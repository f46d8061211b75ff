-- 17 test runs: authors try labs, and no plan pays. A session refers to a plan; this row stands for none, and no list of plans has it.

INSERT INTO plan (id, name_en, name_fr, labs, concurrency_max, seconds, valid_days)
VALUES ('test-run', 'Test run', 'Essai', 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING;

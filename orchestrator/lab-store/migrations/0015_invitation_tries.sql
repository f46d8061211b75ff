-- 15 invitation tries: how often whoever has an invitation tried to register by it.

ALTER TABLE lti_invitation ADD COLUMN tries {int} NOT NULL DEFAULT 0;

-- 10 staff: whose statement a sponsor's login reads, and sign-ins by OpenID Connect that were begun.

ALTER TABLE login ADD COLUMN sponsor TEXT;

-- Secrets are hashes, and PKCE's verifier is not here at all: it is made of what the browser keeps. That a state is used once is a
-- row of launch_used.
CREATE TABLE staff_state (
    state      {bytes} NOT NULL PRIMARY KEY,
    nonce      {bytes} NOT NULL,
    browser    {bytes} NOT NULL,
    expires_at {int} NOT NULL
) {strict};
CREATE INDEX staff_state_expires ON staff_state (expires_at);

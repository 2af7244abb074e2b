"""Second factors of accounts with a password of Stead's own: one-time codes, passkeys, recovery codes."""

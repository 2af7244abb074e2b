"""Sign-in with LDAP directories."""

VERSION = "0.1.0"

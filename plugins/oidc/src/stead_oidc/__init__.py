"""Sign in with OpenID Connect or GitHub."""

VERSION = "0.1.0"

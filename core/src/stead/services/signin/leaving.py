"""Signing out at the provider too, where the browser's session came from one that wants to know."""

from __future__ import annotations

import logging
import secrets

from stead.api.errors import NotAuthenticated, SteadError
from stead.api.signin import Link, RedirectProvider
from stead.domain.records import Actor
from stead.services import authentication
from stead.services.core import Core
from stead.services.signin import accounts
from stead.store import signin as store

log = logging.getLogger(__name__)


def url(core: Core, actor: Actor | None, session_secret: str | None) -> str | None:
    """Where to send a browser whose session ends here, or ``None`` where that is all."""
    if actor is None or session_secret is None:
        return None
    try:
        session = authentication.session_of(core, session_secret)
    except NotAuthenticated:
        return None
    if session.provider not in core.identity:
        return None
    configured = core.identity.get(session.provider)
    with core.database.read():
        stored = store.link_of_user(session.user_id)
    if configured.redirect is None or stored is None or stored.provider != configured.name:
        return None
    return_to = f"{core.settings.access_url}/sign-in/{configured.name}/farewell"
    link = accounts.link_record(core, stored)
    try:
        found = configured.ask(_sign_out_url, configured.redirect, link, return_to)
    except SteadError:
        log.info("signing out at %s is left out", configured.name, exc_info=True)
        return None
    return found if found and found.startswith(("https://", "http://")) else None


def _sign_out_url(provider: RedirectProvider, link: Link, return_to: str) -> str | None:
    return provider.sign_out_url(link, return_to, secrets.token_urlsafe(16))

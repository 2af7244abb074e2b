"""What is done to a deployment on its own machine, straight at its database: for whoever cannot sign in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stead.config import Settings
from stead.domain.documents import to_json
from stead.services import deployment, users
from stead.services.core import SYSTEM, Core, close_core, open_core
from stead.services.factors import manage
from stead.services.policies.enabled import Policies
from stead.services.signin import conversion
from stead.services.signin.providers import Providers


@contextmanager
def _core(settings: Settings) -> Iterator[Core]:
    # Without identity providers and policies: one that is not set up well must not keep anybody from mending it.
    core = open_core(settings, identity=Providers(), policies=Policies())
    try:
        yield core
    finally:
        close_core(core)


def create_owner(settings: Settings, username: str, email: str, password: str, name: str) -> Any:
    """Create the owner of a fresh deployment; returns the user as JSON."""
    with _core(settings) as core:
        return to_json(deployment.create_first_owner(core, username, email, password, name))


def reset_password(settings: Settings, user: str, password: str) -> None:
    """Set another password for a user."""
    with _core(settings) as core:
        users.set_password(core, SYSTEM, user, None, password)


def reset_factors(settings: Settings, user: str) -> int:
    """Take a user's second factors away; returns how many there were."""
    with _core(settings) as core:
        return manage.reset(core, SYSTEM, user)


def recover(settings: Settings, user: str, password: str) -> Any:
    """Make somebody an active owner who signs in with a password."""
    with _core(settings) as core:
        return to_json(conversion.recover(core, user, password))

"""Whether an account has to have a second factor, and has none.

While one is missing, the account's sessions and its people's API tokens open nothing; a password leads to the page
that adds one (:mod:`stead.services.factors.enrolment`). Whoever has the server's shell sets ``second_factor``: nobody
can be kept out by it for good.
"""

from __future__ import annotations

from stead.api.errors import NotAuthenticated
from stead.domain.records import User
from stead.domain.states import Role
from stead.services.core import Core
from stead.store import factors as store

ADMINISTRATORS, REQUIRED = "administrators", "required"


class SecondFactorMissing(NotAuthenticated):
    """The account needs a second factor before anything else."""

    reason = "second_factor_missing"


def demanded(core: Core, user: User) -> bool:
    """Whether the deployment wants a second factor of an account; those of providers have their own."""
    wanted = core.settings.second_factor
    if user.provider:
        return False
    if wanted == ADMINISTRATORS:
        return any(role is not Role.MEMBER for role in user.roles)
    return wanted == REQUIRED


def missing(core: Core, user: User) -> bool:
    """Whether an account has to set one up first."""
    if not demanded(core, user):
        return False
    with core.database.read():
        return not store.has_one(user.id)


def require(core: Core, user: User) -> None:
    """Nothing, where none is missing.

    :raises SecondFactorMissing: one is; the remedy says where to add it.
    """
    if missing(core, user):
        raise SecondFactorMissing(
            "This deployment asks for a second factor, and your account has none.",
            remedy=f"Sign in at {core.settings.access_url}/login: your password leads to the page that adds one.",
        )

"""The deployment as a whole: whether it is new, its first owner, its plugins."""

from __future__ import annotations

from dataclasses import dataclass

from stead import VERSION
from stead.api.errors import Conflict
from stead.domain import names, rbac
from stead.domain.records import Actor, User
from stead.domain.states import Role
from stead.plugins import PluginStatus
from stead.services import password_policy, secrets
from stead.services.core import SYSTEM, Core, new_id
from stead.services.policies.enabled import EnabledPolicy
from stead.store import users as store


@dataclass(frozen=True)
class DeploymentStatus:
    """``first_run``: there is no user yet, and whoever comes first becomes the owner."""

    first_run: bool
    version: str


def status(core: Core) -> DeploymentStatus:
    with core.database.read():
        return DeploymentStatus(first_run=not store.any_exists(), version=VERSION)


def create_first_owner(core: Core, username: str, email: str, password: str, name: str = "") -> User:
    """Make the owner of a new deployment.

    :raises Conflict: there is a user already.
    """
    user = User(
        id=new_id(),
        username=names.check_username(username),
        email=names.check_email(email),
        name=names.check_text(name, "name", 128),
        roles=(Role.OWNER,),
        status="active",
        login_type="password",
        created_at=core.clock.now(),
    )
    password_hash = secrets.hash_password(password_policy.check(core, password, user.username, user.email, user.name))
    with core.change(SYSTEM) as change:
        core.database.lock("users")
        if store.any_exists():
            raise Conflict("This deployment has an owner already.", remedy="Sign in instead.")
        store.insert(user, password_hash)
        change.record("created first owner", "user", user.id, user.username, after={"email": user.email})
        change.event("user.created", id=user.id, username=user.username)
    return user


@dataclass(frozen=True)
class PolicyStatus:
    """A policy that is enabled, and how often this server asked it since its start.

    ``templates`` are patterns of the templates that it judges; none is all. What ``failed`` or was ``late`` was denied.
    """

    name: str
    policy: str
    title: str
    mode: str
    templates: tuple[str, ...]
    transitions: tuple[str, ...]
    judged: int
    denied: int
    failed: int
    late: int


def policies(core: Core, actor: Actor) -> list[PolicyStatus]:
    """The enabled policies."""
    rbac.require(actor, rbac.Resource.DEPLOYMENT, rbac.Action.READ)
    return [_policy_status(policy) for policy in core.policies]


def _policy_status(policy: EnabledPolicy) -> PolicyStatus:
    counts = policy.counts
    return PolicyStatus(
        name=policy.name,
        policy=policy.spec.name,
        title=policy.spec.title,
        mode=policy.settings.mode,
        templates=tuple(policy.settings.templates),
        transitions=tuple(sorted(policy.spec.transitions)),
        judged=counts["judged"],
        denied=counts["denied"],
        failed=counts["failed"],
        late=counts["late"],
    )


def plugins(core: Core, actor: Actor) -> list[PluginStatus]:
    """The state of every installed plugin."""
    rbac.require(actor, rbac.Resource.DEPLOYMENT, rbac.Action.READ)
    return core.plugins.status()

"""Who may do what, as a table: by role, resource and action: any, own, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from stead.api.errors import Forbidden, NotFound
from stead.domain.records import Actor
from stead.domain.states import Role


class Resource(StrEnum):
    USER = "user"
    GROUP = "group"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    TEMPLATE = "template"
    WORKSPACE = "workspace"
    AUDIT = "audit"
    DEPLOYMENT = "deployment"


class Action(StrEnum):
    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    BUILD = "build"  # start, stop, cancel
    CONNECT = "connect"  # shells, files, ports, apps
    ASSIGN = "assign"  # roles of users; a workspace to another owner
    STATE = "state"  # the Terraform state, which holds secrets
    USE = "use"  # make workspaces from a template


class Scope(StrEnum):
    """OWN: where the actor is the one it belongs to."""

    OWN = "own"
    ANY = "any"


Grants = Mapping[tuple[Resource, Action], Scope]


def _all(scope: Scope, resource: Resource, *actions: Action) -> dict[tuple[Resource, Action], Scope]:
    return {(resource, action): scope for action in actions}


_CRUD = (Action.CREATE, Action.READ, Action.UPDATE, Action.DELETE)

MEMBER: Grants = {
    **_all(Scope.OWN, Resource.USER, Action.READ, Action.UPDATE),
    **_all(Scope.OWN, Resource.TOKEN, *_CRUD),
    **_all(Scope.ANY, Resource.TEMPLATE, Action.READ, Action.USE),
    **_all(Scope.OWN, Resource.WORKSPACE, *_CRUD, Action.BUILD, Action.CONNECT),
}

GRANTS: Mapping[Role, Grants] = {
    Role.OWNER: {(resource, action): Scope.ANY for resource in Resource for action in Action},
    Role.TEMPLATE_ADMIN: {
        **MEMBER,
        **_all(Scope.ANY, Resource.TEMPLATE, *_CRUD, Action.USE),
        **_all(Scope.ANY, Resource.WORKSPACE, Action.READ),
        **_all(Scope.ANY, Resource.USER, Action.READ),
        **_all(Scope.ANY, Resource.GROUP, Action.READ),
    },
    Role.USER_ADMIN: {
        **MEMBER,
        **_all(Scope.ANY, Resource.USER, *_CRUD, Action.ASSIGN),
        **_all(Scope.ANY, Resource.GROUP, *_CRUD),
        **_all(Scope.ANY, Resource.TOKEN, Action.READ, Action.DELETE),
    },
    Role.AUDITOR: {
        **MEMBER,
        **_all(Scope.ANY, Resource.AUDIT, Action.READ),
        **_all(Scope.ANY, Resource.USER, Action.READ),
        **_all(Scope.ANY, Resource.GROUP, Action.READ),
        **_all(Scope.ANY, Resource.WORKSPACE, Action.READ),
        **_all(Scope.ANY, Resource.DEPLOYMENT, Action.READ),
    },
    Role.MEMBER: MEMBER,
}


def scope_of(roles: Iterable[Role], resource: Resource, action: Action) -> Scope | None:
    """The widest scope that any of the roles grants. Everybody is at least a member."""
    found = {GRANTS[role].get((resource, action)) for role in {*roles, Role.MEMBER}}
    return Scope.ANY if Scope.ANY in found else Scope.OWN if Scope.OWN in found else None


def allows(actor: Actor, resource: Resource, action: Action, owner_id: str | None = None) -> bool:
    """Whether the actor may do this to a thing of ``owner_id`` (``None``: it belongs to nobody)."""
    scope = scope_of(actor.roles, resource, action)
    return scope is Scope.ANY or (scope is Scope.OWN and owner_id is not None and owner_id == actor.user_id)


def require(actor: Actor, resource: Resource, action: Action, owner_id: str | None = None) -> None:
    """Nothing, if the actor may.

    :raises NotFound: the actor may not even see it, so its existence is not told.
    :raises Forbidden: the actor sees it, but may not do this.
    """
    if allows(actor, resource, action, owner_id):
        return
    if owner_id is not None and not allows(actor, resource, Action.READ, owner_id):
        raise NotFound(f"There is no such {resource}.")
    raise Forbidden(
        f"You may not {action} this {resource}.", remedy="Ask somebody with the owner role for the permission."
    )


# Whoever has one of these may run code where Stead runs, so only who has it may hand it on.
MIGHTY = frozenset({Role.OWNER, Role.TEMPLATE_ADMIN})


def assignable(actor: Actor, roles: Iterable[Role]) -> bool:
    """Whether the actor may give (or take) these roles: nobody makes others mightier than themselves."""
    if Role.OWNER in actor.roles:
        return True
    return allows(actor, Resource.USER, Action.ASSIGN) and is_as_mighty(actor, roles)


def is_as_mighty(actor: Actor, roles: Iterable[Role]) -> bool:
    """Whether the actor has what is mighty among these roles: who has not must not get at it by another's account."""
    return Role.OWNER in actor.roles or set(roles) & MIGHTY <= set(actor.roles)

"""The hooks that a Stead plugin may implement, and the marker to implement them with.

A hook registers records. It takes no argument with a default, and it does nothing else: a hook that
raises makes its plugin *failed*, which administrators see with the reason, while all others go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from flask import Blueprint

    from stead.api.launchers import LauncherSpec
    from stead.api.policies import PolicySpec
    from stead.api.records import Event, PlatformSpec, ProviderSpec
    from stead.api.signin import IdentityProviderSpec

PROJECT = "stead"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def stead_terraform_providers() -> list[ProviderSpec]:  # type: ignore[empty-body]
    """Terraform providers that this plugin brings."""


@hookspec
def stead_platforms() -> list[PlatformSpec]:  # type: ignore[empty-body]
    """Platforms: starter templates, credentials check, owned-resource listing."""


@hookspec
def stead_identity_providers() -> list[IdentityProviderSpec]:  # type: ignore[empty-body]
    """Kinds of identity providers that people can sign in with."""


@hookspec
def stead_ide_launchers() -> list[LauncherSpec]:  # type: ignore[empty-body]
    """IDEs that a workspace can be opened in."""


@hookspec
def stead_policies() -> list[PolicySpec]:  # type: ignore[empty-body]
    """Policies that administrators can enable."""


@hookspec
def stead_cli_commands(group: click.Group) -> None:
    """Add commands to the ``stead`` command line."""


@hookspec
def stead_blueprints(context: object) -> list[Blueprint]:  # type: ignore[empty-body]
    """Flask blueprints, mounted under ``/plugins/NAME/`` behind Stead's own authentication."""


@hookspec
def stead_event(event: Event) -> None:
    """Called after the change that ``event`` names was committed."""

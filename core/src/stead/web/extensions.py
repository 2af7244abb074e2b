"""Pages that plugins bring: mounted under ``/plugins/NAME/``, behind the same sign-in as everything else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint
from flask_login import current_user
from werkzeug.wrappers import Response

from stead.web.auth import current_actor, unauthorized

if TYPE_CHECKING:
    from flask import Flask

    from stead.services.core import Core

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlueprintContext:
    """What ``stead_blueprints(context)`` is given.

    :param access_url: URL under which people reach the deployment.
    :param username: the person who makes the present request.
    :param roles: that person's roles.
    """

    access_url: str
    username: Callable[[], str]
    roles: Callable[[], tuple[str, ...]]


def register_plugin_blueprints(app: Flask, core: Core) -> None:
    """Mount the blueprints of all plugins; a plugin whose blueprints cannot be mounted goes without."""
    context = BlueprintContext(
        access_url=str(core.settings.access_url),
        username=lambda: current_actor().username,
        roles=lambda: tuple(role.value for role in current_actor().roles),
    )
    for plugin, blueprints in core.plugins.blueprints(context).items():
        for blueprint in blueprints:
            try:
                _mount(app, plugin, blueprint)
            except Exception:
                # The boundary to a plugin: what it hands over may be anything.
                log.warning("Pages of the plugin %s are absent.", plugin, exc_info=True)


def _mount(app: Flask, plugin: str, blueprint: Blueprint) -> None:
    blueprint.before_request(_require_sign_in)
    app.register_blueprint(
        blueprint, name=f"plugin_{plugin}_{blueprint.name}", url_prefix=f"/plugins/{plugin}{_prefix(blueprint)}"
    )


def _prefix(blueprint: Blueprint) -> str:
    """The blueprint's own prefix stays below the plugin's."""
    return f"/{blueprint.url_prefix.strip('/')}" if blueprint.url_prefix else ""


def _require_sign_in() -> Response | None:
    return None if current_user.is_authenticated else unauthorized()

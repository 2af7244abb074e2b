"""The one façade that touches pluggy.

Hooks are called for one plugin at a time, never fanned out, so that each result and each failure
belongs to exactly one plugin.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import pluggy

from stead.api import hookspecs
from stead.api.errors import PluginFailure


class HookManager:
    """Registers plugin modules and calls their hooks one plugin at a time."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def register(self, name: str, plugin: object) -> None:
        """Register ``plugin`` under ``name``.

        :raises PluginFailure: the name is taken, a hook is misspelt, or its arguments do not fit.
        """
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginFailure(f"The plugin {name!r} cannot be registered: {error}.") from error
        try:
            self._refuse_unknown_hooks(name, plugin)
        except PluginFailure:
            self._manager.unregister(name=name)
            raise

    def unregister(self, name: str) -> None:
        """Forget a plugin; unknown names are fine."""
        if self._manager.get_plugin(name) is not None:
            self._manager.unregister(name=name)

    def call(self, name: str, hook: str, /, **arguments: Any) -> Any:
        """Call ``hook`` of the plugin ``name``; ``None`` where it does not implement it."""
        plugin = self._manager.get_plugin(name)
        others = [other for other in self._manager.get_plugins() if other is not plugin]
        results = self._manager.subset_hook_caller(hook, others)(**arguments)
        return results[0] if results else None

    def trace(self, write: Callable[[str], None]) -> Callable[[], None]:
        """Send a line for each registration and call to ``write``; returns the way to stop it."""
        self._manager.trace.root.setwriter(write)
        undo = self._manager.enable_tracing()

        def stop() -> None:
            undo()
            self._manager.trace.root.setwriter(None)

        return stop

    def _refuse_unknown_hooks(self, name: str, plugin: object) -> None:
        known = [entry for entry in dir(hookspecs) if entry.startswith("stead_")]
        for caller in self._manager.get_hookcallers(plugin) or ():
            if caller.name in known:
                continue
            near = difflib.get_close_matches(caller.name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known hooks: {', '.join(known)}."
            raise PluginFailure(f"The plugin {name!r} implements {caller.name!r}, which is no hook of Stead.{hint}")

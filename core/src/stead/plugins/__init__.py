"""Finds, loads and isolates plugins."""

from stead.plugins.registry import PluginRegistry, PluginStatus, StatusKind

__all__ = ["PluginRegistry", "PluginStatus", "StatusKind"]

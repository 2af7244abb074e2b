"""The manifest: what the control plane tells the agent about its workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Script:
    id: str
    display_name: str = ""
    icon: str = ""
    log_path: str = ""
    script: str = ""
    cron: str = ""
    run_on_start: bool = False
    run_on_stop: bool = False
    start_blocks_login: bool = False
    timeout: int = 0  # seconds, 0 is none


@dataclass(frozen=True)
class Healthcheck:
    url: str = ""
    interval: int = 0  # seconds
    threshold: int = 0  # failures in a row until unhealthy


@dataclass(frozen=True)
class App:
    slug: str
    healthcheck: Healthcheck | None = None


@dataclass(frozen=True)
class MetadataItem:
    key: str
    script: str
    interval: int = 0  # seconds
    timeout: int = 0  # seconds


@dataclass(frozen=True)
class Manifest:
    agent_id: str = ""
    agent_name: str = ""
    workspace_id: str = ""
    workspace_name: str = ""
    owner: str = ""
    owner_email: str = ""
    owner_full_name: str = ""
    directory: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    motd_file: str = ""
    access_url: str = ""
    port_proxy_uri: str = ""
    scripts: tuple[Script, ...] = ()
    apps: tuple[App, ...] = ()
    metadata: tuple[MetadataItem, ...] = ()
    connection_timeout: int = 120
    volumes: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()  # what ``tcp`` streams may reach beside loopback


def read_manifest(raw: Mapping[str, Any]) -> Manifest:
    """Build the manifest, ignoring what a newer control plane may have added."""
    values = _known(Manifest, raw)
    values["env"] = {str(k): str(v) for k, v in (raw.get("env") or {}).items()}
    values["scripts"] = tuple(Script(**_known(Script, item)) for item in _items(raw, "scripts"))
    values["metadata"] = tuple(MetadataItem(**_known(MetadataItem, item)) for item in _items(raw, "metadata"))
    values["apps"] = tuple(_app(item) for item in _items(raw, "apps"))
    values["volumes"] = tuple(_volume(item) for item in _items(raw, "volumes"))
    values["allow_hosts"] = tuple(_items(raw, "allow_hosts"))
    return Manifest(**values)


def _app(raw: Mapping[str, Any]) -> App:
    check = raw.get("healthcheck")
    if not check or not check.get("url"):
        return App(slug=raw["slug"])
    return App(slug=raw["slug"], healthcheck=Healthcheck(**_known(Healthcheck, check)))


def _volume(raw: Any) -> str:
    return str(raw.get("path", "")) if isinstance(raw, Mapping) else str(raw)


def _items(raw: Mapping[str, Any], name: str) -> Iterable[Any]:
    return raw.get(name) or ()


def _known(kind: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in raw.items() if name in names and value is not None}

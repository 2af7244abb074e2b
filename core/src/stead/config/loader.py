"""Reads settings from ``stead.toml``, the environment and flags, in rising precedence."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr, ValidationError

from stead.api.errors import InvalidInput
from stead.config.settings import Settings

PREFIX = "STEAD_"
ALIASES = {"CODER_PG_CONNECTION_URL": "pg_connection_url"}

# Variables that begin with STEAD_ and belong to other parts: the agent's, the command line's, the tests'.
FOREIGN_PREFIXES = ("STEAD_AGENT_", "STEAD_TEST_", "STEAD_CLI_", "STEAD_BENCH_", "STEAD_WORKSPACE_")
FOREIGN = frozenset(
    {"STEAD_CONFIG", "STEAD_CONFIG_DIR", "STEAD_URL", "STEAD_TOKEN", "STEAD_SESSION_TOKEN", "STEAD_OUTPUT"}
)
COMPLETION = "_COMPLETE"

# The tables that hold a table for each name.
GROUPED = ("plugins", "identity", "policies")
# Those of them whose names administrators choose, and what each name is for.
CHOSEN = {"identity": "an identity provider", "policies": "a policy"}
CHOSEN_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")


def secret_names() -> frozenset[str]:
    """Names of the settings whose value is never shown."""
    return frozenset(
        name
        for name, info in Settings.model_fields.items()
        if info.annotation is SecretStr or SecretStr in get_args(info.annotation)
    )


@dataclass
class Layers:
    """Values so far and where each came from. Later layers win."""

    values: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    chosen: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {table: {} for table in CHOSEN})
    disabled: Any = None
    provenance: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, source: str, shown: str) -> None:
        """Take one value; ``shown`` is the key as the person wrote it, for the message if it is unknown."""
        secret = name.removesuffix("_file")
        if name not in Settings.model_fields and secret in secret_names() and name.endswith("_file"):
            self.values[secret] = _read_secret(value, shown)
            self.provenance[secret] = f"{source}, from the file {value}"
            return
        if name not in Settings.model_fields or name in GROUPED:
            raise _unknown(shown, name)
        self.values[name] = value
        self.provenance[name] = source

    def put_section(self, plugin: str, key: str, value: Any, source: str) -> None:
        self.sections.setdefault(plugin, {})[key] = value
        self.provenance[f"plugins.{plugin}.{key}"] = source

    def put_chosen(self, table: str, name: str, values: Mapping[str, Any], source: str) -> None:
        """Values of ``[TABLE.NAME]``; an empty table counts as one too."""
        if not CHOSEN_NAME.fullmatch(name):
            raise InvalidInput(
                f"{table}.{name} is no name for {CHOSEN[table]}.",
                field=f"{table}.{name}",
                remedy="Use at most 32 lower-case letters, digits and single hyphens between them.",
            )
        self.chosen[table].setdefault(name, {}).update(values)
        self.provenance.update({f"{table}.{name}.{key}": source for key in values})

    def put_disabled(self, value: Any, source: str) -> None:
        self.disabled = value
        self.provenance["plugins.disabled"] = source


def _read_secret(path: Any, shown: str) -> str:
    try:
        return Path(str(path)).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(
            f"{shown}: the file {path} cannot be read ({error.strerror}).",
            field=shown,
            remedy="Check the path and its permissions.",
        ) from error


def _unknown(shown: str, name: str) -> InvalidInput:
    near = difflib.get_close_matches(name, list(Settings.model_fields), n=1, cutoff=0.5)
    style = (PREFIX + near[0].upper()) if near and shown.startswith(PREFIX) else (near[0] if near else "")
    remedy = f"Did you mean {style}?" if near else "`stead config show` lists all settings."
    return InvalidInput(f"There is no setting {shown}.", field=shown, remedy=remedy)


def _read_toml(layers: Layers, path: Path) -> None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The settings file {path} is not valid TOML: {error}.") from error
    source = f"file {path}"
    plugins = document.pop("plugins", {})
    for table in CHOSEN:
        _read_chosen(layers, table, document.pop(table, {}), source)
    if not isinstance(plugins, dict):
        raise InvalidInput("plugins must be a table.", field="plugins", remedy="Write [plugins.NAME].")
    for name, value in document.items():
        layers.put(name, value, source, name)
    for name, value in plugins.items():
        if isinstance(value, dict):
            for key, inner in value.items():
                layers.put_section(name, key, inner, source)
        elif name == "disabled":
            layers.put_disabled(value, source)
        else:
            raise InvalidInput(
                f"There is no setting plugins.{name}.",
                field=f"plugins.{name}",
                remedy="Known is plugins.disabled; a plugin's settings are a table [plugins.NAME].",
            )


def _read_chosen(layers: Layers, table: str, sections: Any, source: str) -> None:
    if not isinstance(sections, dict):
        raise InvalidInput(f"{table} must be a table.", field=table, remedy=f"Write [{table}.NAME].")
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise InvalidInput(
                f"There is no setting {table}.{name}.",
                field=f"{table}.{name}",
                remedy=f"The settings of {CHOSEN[table]} are a table [{table}.NAME].",
            )
        layers.put_chosen(table, name, section, source)


def _read_environment(layers: Layers, environ: Mapping[str, str]) -> None:
    for variable, name in ALIASES.items():
        if environ.get(variable):
            layers.put(name, environ[variable], f"environment {variable}", variable)
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and environ[variable] != "":
            _take_variable(layers, variable, environ[variable])


def _take_variable(layers: Layers, variable: str, value: str) -> None:
    name = variable.removeprefix(PREFIX).lower()
    source = f"environment {variable}"
    if name == "plugins_disabled":
        layers.put_disabled(value, source)
    elif name.startswith("plugins_") and name.count("_") >= 2:
        _, plugin, key = name.split("_", 2)
        layers.put_section(plugin, key, value, source)
    elif (table := name.partition("_")[0]) in CHOSEN and name.count("_") >= 2:
        owner, key = _split_chosen(layers, table, name.removeprefix(f"{table}_"))
        layers.put_chosen(table, owner, {key: value}, source)
    elif name not in Settings.model_fields and _is_foreign(variable):
        return
    else:
        layers.put(name, value, source, variable)


def _split_chosen(layers: Layers, table: str, rest: str) -> tuple[str, str]:
    """Name and key of a variable; a hyphen in a name that the file has is an underscore here."""
    for known in sorted(layers.chosen[table], key=len, reverse=True):
        prefix = known.replace("-", "_") + "_"
        if rest.startswith(prefix) and len(rest) > len(prefix):
            return known, rest.removeprefix(prefix)
    name, _, key = rest.partition("_")
    return name, key


def _is_foreign(variable: str) -> bool:
    return variable in FOREIGN or variable.startswith(FOREIGN_PREFIXES) or variable.endswith(COMPLETION)


def config_path(environ: Mapping[str, str], explicit: Path | None = None) -> Path | None:
    """The settings file to read: the given one, ``STEAD_CONFIG``, ``./stead.toml`` or the user's."""
    if explicit is not None:
        return explicit
    if environ.get("STEAD_CONFIG"):
        return Path(environ["STEAD_CONFIG"]).expanduser()
    candidates = (Path("stead.toml"), Path.home() / ".config" / "stead" / "stead.toml", Path("/etc/stead/stead.toml"))
    return next((path for path in candidates if path.is_file()), None)


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from file, environment and ``flags`` (by setting name; ``None`` means not given).

    :raises InvalidInput: an unknown key (names the nearest known one) or a bad value (names the setting).
    """
    env = os.environ if environ is None else environ
    layers = Layers()
    path = config_path(env, config)
    if path is not None:
        _read_toml(layers, path)
    _read_environment(layers, env)
    for name, value in (flags or {}).items():
        if value is not None:
            layers.put(name, value, f"flag --{name.replace('_', '-')}", name)
    return _validate(layers)


def _validate(layers: Layers) -> Settings:
    plugins: dict[str, Any] = {"sections": layers.sections}
    if layers.disabled is not None:
        plugins["disabled"] = layers.disabled
    try:
        chosen = {table: {"sections": sections} for table, sections in layers.chosen.items()}
        settings = Settings(**{**layers.values, "plugins": plugins, **chosen})
    except ValidationError as error:
        raise _explain(error, layers) from None
    settings.remember_provenance(layers.provenance)
    return settings


def _explain(error: ValidationError, layers: Layers) -> InvalidInput:
    """The first problem, without the value: it may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    where = layers.provenance.get(name, "")
    shown = f"{name} ({where})" if where else name
    return InvalidInput(f"Setting {shown}: {text}." if name else f"{text}.", field=name or None)

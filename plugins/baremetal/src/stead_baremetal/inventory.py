"""The machines that there are, as a file, a command or an HTTP API tells."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError, field_validator

from stead.api.errors import CredentialsRejected, PlatformUnreachable, ProviderFailure
from stead.api.provider import Context
from stead_baremetal.power import Power
from stead_baremetal.retries import with_retries
from stead_baremetal.settings import BaremetalSettings

LARGEST = 8 << 20  # bytes of an inventory
COMMAND_WITHIN = 60.0  # seconds
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


class Machine(BaseModel, extra="forbid", frozen=True):
    """One machine of the inventory."""

    name: str = Field(pattern=NAME)
    address: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._:%-]+$")
    port: int = Field(default=22, ge=1, le=65535)
    user: str | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    host_keys: tuple[str, ...] = ()
    key_file: Path | None = None
    jump: str | None = None
    price: float | None = Field(default=None, ge=0)
    drain: bool | str = False
    power: Power | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Numbers and truth values are labels as well."""
        if not isinstance(value, Mapping):
            return value
        return {str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()}

    @property
    def drain_reason(self) -> str:
        """Why the inventory keeps it out of use; empty where it does not."""
        return self.drain if isinstance(self.drain, str) else "by the inventory" if self.drain else ""

    @property
    def hourly_price(self) -> float:
        return self.price or 0.0


class Inventory(BaseModel, extra="forbid", frozen=True):
    """:param as_of: date of the prices, ``2026-01-31``."""

    machines: tuple[Machine, ...] = ()
    currency: str = "USD"
    as_of: str = ""

    @field_validator("as_of", mode="before")
    @classmethod
    def _date(cls, value: Any) -> str:
        return str(value)

    @field_validator("machines")
    @classmethod
    def _names_are_unique(cls, machines: tuple[Machine, ...]) -> tuple[Machine, ...]:
        seen: set[str] = set()
        for machine in machines:
            if machine.name in seen:
                raise ValueError(f"there are two machines called {machine.name}")
            seen.add(machine.name)
        return machines

    def by_name(self) -> dict[str, Machine]:
        return {machine.name: machine for machine in self.machines}


def read_inventory(settings: BaremetalSettings, context: Context) -> Inventory:
    """The inventory as it is now.

    :raises ProviderFailure: there is none, or it is no inventory; says what is wrong with it.
    """
    place, read = _source(settings)
    try:
        found = Inventory.model_validate(read(settings, context))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ProviderFailure(
            f"The inventory {place} is wrong at {where or 'its top'}: {first['msg']}.", remedy="Correct it there."
        ) from None  # pydantic's own message repeats the input, which may hold a password
    return found if found.as_of else found.model_copy(update={"as_of": _today()})


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


Reader = Callable[[BaremetalSettings, Context], Any]


def _source(settings: BaremetalSettings) -> tuple[str, Reader]:
    if settings.inventory is not None:
        return str(settings.inventory), _from_file
    if settings.inventory_command:
        return f"of the command {settings.inventory_command[0]}", _from_command
    if settings.inventory_url:
        return settings.inventory_url, _from_api
    raise ProviderFailure(
        "No inventory of machines is configured.",
        remedy="Set inventory, inventory_command or inventory_url in [plugins.baremetal], or in the provider block.",
    )


def _from_file(settings: BaremetalSettings, context: Context) -> Any:
    del context
    path = settings.inventory
    assert path is not None  # noqa: S101 - _source looked
    try:
        text = path.read_text()
    except OSError as error:
        raise ProviderFailure(f"The inventory {path} cannot be read: {error.strerror}.") from error
    try:
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ProviderFailure(f"The inventory {path} cannot be understood: {error}.") from error


def _from_command(settings: BaremetalSettings, context: Context) -> Any:
    command = settings.inventory_command
    within = min(COMMAND_WITHIN, context.remaining or COMMAND_WITHIN)
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=within, check=False)
    except OSError as error:
        raise ProviderFailure(f"The inventory command {command[0]} cannot be run: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise ProviderFailure(f"The inventory command {command[0]} did not end within {within:.0f} s.") from error
    if ran.returncode:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ProviderFailure(
            f"The inventory command {command[0]} ended with {ran.returncode}: {' '.join(last) or 'it said nothing'}"
        )
    return _parsed(ran.stdout, f"command {command[0]}")


def _parsed(content: bytes, what: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise ProviderFailure(f"The inventory {what} did not answer JSON: {error}.") from error


def _from_api(settings: BaremetalSettings, context: Context) -> Any:
    url, token = settings.inventory_url or "", settings.inventory_token
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token.get_secret_value()}"
    return with_retries(context, lambda: _fetch(url, headers, settings.connect_timeout))


def _fetch(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    try:
        with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=False) as answer:
            content = b""
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise ProviderFailure(f"The inventory at {url} is larger than {LARGEST >> 20} MiB.")
    except httpx.TransportError as error:
        raise PlatformUnreachable(f"The inventory at {url} does not answer: {error!s}.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderFailure(f"The inventory at {url} cannot be fetched: {error}.") from error
    if answer.status_code in (401, 403):
        raise CredentialsRejected(
            f"The inventory at {url} answered {answer.status_code}.",
            remedy="Check inventory_token in [plugins.baremetal].",
        )
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= 500:
        raise PlatformUnreachable(f"The inventory at {url} answered {answer.status_code}.")
    if answer.status_code != httpx.codes.OK:
        raise ProviderFailure(f"The inventory at {url} answered {answer.status_code}.")
    return _parsed(content, f"at {url}")

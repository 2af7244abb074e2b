"""Value types of settings: durations, comma lists, addresses."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(value: Any) -> Any:
    """Seconds from a number or from text such as ``90s``, ``1h30m`` or ``250ms``."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("write a duration as a number of seconds, or like 90s, 15m, 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def split_commas(value: Any) -> Any:
    """A list from comma-separated text; lists pass through."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def check_address(value: Any) -> Any:
    """``HOST:PORT``, ``:PORT`` or ``[V6]:PORT``; returns it with a host."""
    if not isinstance(value, str):
        return value
    host, colon, port = value.strip().rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("write an address as HOST:PORT, for example 127.0.0.1:3000")
    return f"{host or '0.0.0.0'}:{int(port)}"  # noqa: S104 - an empty host means every interface, as everywhere


Duration = Annotated[float, BeforeValidator(parse_duration)]
CommaList = Annotated[list[str], BeforeValidator(split_commas)]
Address = Annotated[str, BeforeValidator(check_address)]


def split_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port of an :data:`Address`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)

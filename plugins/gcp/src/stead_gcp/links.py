"""Names and links of things: Google Cloud takes and tells the same thing in several forms."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ProviderFailure


def name_of(link: str | None) -> str:
    """The last part: ``e2-medium`` of ``…/zones/z/machineTypes/e2-medium``."""
    return (link or "").rstrip("/").rpartition("/")[2]


def relative(link: str) -> str:
    """From ``projects/`` on, without the address of the API."""
    _, found, rest = link.partition("/projects/")
    return f"projects/{rest}" if found else link.lstrip("/")


def same_link(one: Any, other: Any) -> bool:
    """Whether two forms can mean the same thing: a bare name fits every link that ends in it."""
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    first, second = relative(one), relative(other)
    if first.startswith("projects/") and second.startswith("projects/"):
        return first == second
    short, long = sorted((first, second), key=len)
    return long == short or long.endswith(f"/{short}")


def same_name(one: Any, other: Any) -> bool:
    return name_of(one) == name_of(other) if isinstance(one, str) and isinstance(other, str) else bool(one == other)


def link(given: str, project: str, place: str, kind: str) -> str:
    """The link that the API takes.

    :param place: ``zones/z``, ``regions/r`` or ``global``.
    """
    path = relative(given)
    if path.startswith("projects/"):
        return path
    if path.startswith(("zones/", "regions/", "global/")):
        return f"projects/{project}/{path}"
    return f"projects/{project}/{place}/{kind}/{name_of(path)}"


def part(path: str, after: str) -> str:
    """The part of a link that follows ``after``: the project after ``projects``; empty where there is none."""
    parts = path.split("/")
    return parts[parts.index(after) + 1] if after in parts[:-1] else ""


def region_of(zone: str) -> str:
    """``us-central1`` of ``us-central1-a``."""
    return name_of(zone).rpartition("-")[0]


def parsed(identity: str, kind: str, place: str | None) -> tuple[str, str, str]:
    """Project, place and name of an identity as ``terraform import`` takes it; what it lacks is empty.

    :param kind: ``disks``; ``place``: ``zones``, ``regions``, or ``None`` for what is global.
    """
    path = relative(identity)
    if "/" + kind + "/" in "/" + path:
        return part(path, "projects"), part(path, place) if place else "", name_of(path)
    parts = path.split("/")
    most = 3 if place else 2
    if len(parts) > most or not all(parts):
        raise ProviderFailure(
            f"{identity} is no identity of {kind}.",
            remedy=f"Give the name, or the whole path (projects/PROJECT/{place or 'global'}/…/{kind}/NAME).",
        )
    padded = [""] * (most - len(parts)) + parts
    return (padded[0], padded[1], padded[2]) if place else (padded[0], "", padded[1])

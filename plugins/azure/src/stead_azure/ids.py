"""Resource ids: ``/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/N/subnets/M``.

Azure compares them without regard to case, and answers in whatever case it likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

NETWORK = "Microsoft.Network"
COMPUTE = "Microsoft.Compute"
_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)(/resourceGroups/(?P<group>[^/]+)"
    r"(/providers/(?P<namespace>[^/]+)(?P<rest>(/[^/]+/[^/]+)+))?)?/?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Id:
    """A parsed resource id. ``kinds`` and ``names`` go from the outer to the inner."""

    subscription: str
    group: str
    namespace: str = ""
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else self.group

    def __str__(self) -> str:
        text = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        if self.namespace:
            text += f"/providers/{self.namespace}"
        return text + "".join(f"/{kind}/{name}" for kind, name in zip(self.kinds, self.names, strict=True))

    def is_kind(self, namespace: str, *kinds: str) -> bool:
        return [item.lower() for item in (self.namespace, *self.kinds)] == [
            item.lower() for item in (namespace, *kinds)
        ]


def parse(text: str) -> Id | None:
    """The id's parts, or ``None`` where the text is none."""
    match = _ID.fullmatch(text or "")
    if match is None or not match["group"]:
        return None
    parts = (match["rest"] or "").strip("/").split("/") if match["rest"] else []
    return Id(match["subscription"], match["group"], match["namespace"] or "", tuple(parts[::2]), tuple(parts[1::2]))


def same(left: str | None, right: str | None) -> bool:
    """Whether two ids name the same thing."""
    return (left or "").rstrip("/").lower() == (right or "").rstrip("/").lower()


def id_of_a(what: str, namespace: str, *kinds: str) -> Callable[[str], None]:
    """A validator: the id of such a thing."""

    def check(value: str) -> None:
        found = parse(value)
        if found is None or not found.is_kind(namespace, *kinds):
            raise ValueError(f"must be the id of {what}, /subscriptions/…/{namespace}/{'/…/'.join(kinds)}/NAME")

    return check

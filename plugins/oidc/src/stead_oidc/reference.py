"""The table of settings in the documentation: ``python -m stead_oidc.reference``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stead_oidc.settings import GithubSettings, OidcSettings, WebSettings

_HEAD = """# Settings of the kinds `oidc` and `github`

What stands in `[identity.NAME]` beside [what the core reads](../identity.md).
Made by `python -m stead_oidc.reference`."""


def document() -> str:
    """The whole page."""
    own = set(WebSettings.model_fields)
    parts = [
        _HEAD,
        _table("Both kinds", WebSettings, own),
        _table("`oidc`", OidcSettings, set(OidcSettings.model_fields) - own),
        _table("`github`", GithubSettings, set(GithubSettings.model_fields) - own),
    ]
    return "\n\n".join(parts) + "\n"


def _table(title: str, model: type[BaseModel], names: set[str]) -> str:
    rows = [_row(name, field) for name, field in model.model_fields.items() if name in names]
    return "\n".join([f"## {title}", "", "| key | default | meaning |", "|---|---|---|", *rows])


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | {_default(field.get_default(call_default_factory=True))} | {field.description} |"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "needed"
    if value is None or value in ("", (), {}):
        return ""
    return ", ".join(f"`{one}`" for one in _parts(value))


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, tuple):
        yield from map(str, value)
    elif isinstance(value, bool):
        yield str(value).lower()
    else:
        yield f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(document(), end="")

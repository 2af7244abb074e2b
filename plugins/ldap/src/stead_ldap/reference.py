"""The table of settings in the documentation: ``python -m stead_ldap.reference``."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stead_ldap.settings import FORMS, Form, LdapSettings

_HEAD = """# Settings of the kind `ldap`

What stands in `[identity.NAME]` beside [what the core reads](../identity.md).
Made by `python -m stead_ldap.reference`.

| key | default | meaning |
|---|---|---|"""
_FORMS = """
## What `form` decides

| key | `openldap` | `active_directory` |
|---|---|---|"""


def document() -> str:
    """The whole page."""
    rows = [_row(name, field) for name, field in LdapSettings.model_fields.items()]
    one, other = FORMS[Form.OPENLDAP], FORMS[Form.ACTIVE_DIRECTORY]
    by_form = [f"| `{key}` | {_shown(one[key])} | {_shown(other[key])} |" for key in one]
    return "\n".join([_HEAD, *rows, _FORMS, *by_form]) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    by_form = name in FORMS[Form.OPENLDAP]
    default = "by `form`" if by_form else _shown(field.get_default(call_default_factory=True))
    return f"| `{name}` | {default} | {field.description} |"


def _shown(value: Any) -> str:
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, SecretStr) or value is None or value in {"", ()}:
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "`{}`".format(text.replace("|", "\\|"))


if __name__ == "__main__":
    print(document(), end="")

"""A table ``[identity.NAME]`` or ``[policies.NAME]``: what the core reads of it, and what is the plugin's own."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from stead.api.errors import InvalidInput

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Table:
    """One configured table.

    :param kind: ``identity``, say.
    :param core_names: keys that the core reads.
    """

    kind: str
    name: str
    section: Mapping[str, Any] = field(repr=False)
    core_names: frozenset[str]

    @property
    def where(self) -> str:
        return f"{self.kind}.{self.name}"

    def core(self, model: type[Model]) -> Model:
        """What the core reads.

        :raises InvalidInput: a value is wrong.
        """
        return self._validated(model, {key: value for key, value in self.section.items() if key in self.core_names})

    def own(self, model: type[Model]) -> Model:
        """What is the plugin's own, with secrets read from their files and text of the environment taken apart.

        :raises InvalidInput: a value is wrong, or the plugin knows no such key.
        """
        fields = {alias: info for key, info in model.model_fields.items() for alias in {key, info.alias or key}}
        found: dict[str, Any] = {}
        for key, value in self.section.items():
            if key in self.core_names:
                continue
            secret = key.removesuffix("_file")
            if key in fields or model.model_config.get("extra") == "allow":
                found[key] = _taken_apart(value, fields[key].annotation if key in fields else None)
            elif key.endswith("_file") and secret in fields and _is_secret(fields[secret].annotation):
                found[secret] = _read_secret(f"{self.where}.{key}", value)
            else:
                raise self._unknown(key, fields)
        return self._validated(model, found)

    def _unknown(self, key: str, fields: Mapping[str, Any]) -> InvalidInput:
        near = difflib.get_close_matches(key, [*fields, *self.core_names], n=1, cutoff=0.5)
        known = ", ".join(sorted({*fields, *self.core_names}))
        remedy = f"Did you mean {near[0]}?" if near else f"Known: {known}."
        return InvalidInput(f"There is no setting {self.where}.{key}.", field=f"{self.where}.{key}", remedy=remedy)

    def _validated(self, model: type[Model], values: Mapping[str, Any]) -> Model:
        """The first problem is told without the value, which may be a secret."""
        prepared = {
            key: _taken_apart(value, model.model_fields[key].annotation) if key in model.model_fields else value
            for key, value in values.items()
        }
        try:
            return model.model_validate(prepared)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join([self.where, *(str(part) for part in first["loc"])])
            text = first["msg"].removeprefix("Value error, ")
            raise InvalidInput(f"Setting {where}: {text}.", field=where) from None


def _parts(annotation: Any) -> list[Any]:
    """The types that an annotation stands for, without ``Annotated`` and ``Optional`` around them."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [part for argument in get_args(annotation) for part in _parts(argument)]
    return [annotation]


def _is_secret(annotation: Any) -> bool:
    return SecretStr in _parts(annotation)


def _taken_apart(value: Any, annotation: Any) -> Any:
    """Text for a list or a table, as a variable of the environment has it: commas, or JSON."""
    origins = {get_origin(part) or part for part in _parts(annotation)}
    if not isinstance(value, str) or str in origins or not origins & {list, tuple, set, frozenset, dict}:
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value if dict in origins else [part.strip() for part in value.split(",") if part.strip()]


def _read_secret(shown: str, path: Any) -> str:
    try:
        return Path(str(path)).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidInput(
            f"{shown}: the file {path} cannot be read ({reason}).",
            field=shown,
            remedy="Check the path and its permissions.",
        ) from error

"""What clients send, checked: bodies, queries, forms. Every refusal names the field and says why."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.datastructures import MultiDict

from stead.api.errors import InvalidInput, TooLarge

Model = TypeVar("Model", bound=BaseModel)


class Input(BaseModel):
    """Base of all bodies and queries: unknown fields are errors, and text is bounded."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=65536)


def parse_body(model: type[Model]) -> Model:
    """The request's JSON body as ``model``.

    :raises InvalidInput: it is not JSON, not an object, or a field is wrong.
    """
    raw = _body()
    if raw and not request.is_json:
        raise InvalidInput(
            f"The body is {request.mimetype or 'of no type'}, but this address takes JSON.",
            remedy="Send it with Content-Type: application/json.",
        )
    return validate(model, _object(raw))


def _body() -> bytes:
    raw = request.get_data(cache=True)
    bound = request.max_content_length
    if request.content_length is None and bound is not None and len(raw) >= bound:
        # Werkzeug cuts a body of no announced length off at the bound, and says nothing.
        raise TooLarge(f"The body is larger than the {bound} bytes that this address takes.")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    if not raw:
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidInput("The body is JSON, but not an object.")
    return value


def parse_query(model: type[Model]) -> Model:
    """The request's query string as ``model``; of a repeated name only the last value counts.

    :raises InvalidInput: a parameter is unknown or wrong.
    """
    return validate(model, _last_values(request.args))


def parse_form(model: type[Model]) -> Model:
    """The text parts of a multipart form as ``model``.

    :raises InvalidInput: a part is unknown or wrong.
    """
    return validate(model, _last_values(request.form))


def _last_values(values: MultiDict[str, str]) -> dict[str, Any]:
    return {name: values.getlist(name)[-1] for name in values}


def validate(model: type[Model], values: Mapping[str, Any]) -> Model:
    """``values`` as ``model``.

    :raises InvalidInput: names the first field that is wrong, with the nearest known one if it is unknown.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _explain(model, error) from error


def _explain(model: type[BaseModel], error: ValidationError) -> InvalidInput:
    problems = error.errors(include_url=False, include_input=False)
    # A misspelt field is also a missing one: the misspelling is what helps.
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    field = ".".join(str(part) for part in first["loc"]) or None
    if first["type"] == "extra_forbidden":
        return _unknown(model, field or "")
    if first["type"] == "missing":
        return InvalidInput(f"The field {field} is missing.", field=field)
    reason = first["msg"].removeprefix("Value error, ").removesuffix(".")
    reason = reason[:1].lower() + reason[1:] if field else reason
    return InvalidInput(f"The field {field} is wrong: {reason}." if field else f"{reason}.", field=field)


def _unknown(model: type[BaseModel], field: str) -> InvalidInput:
    known = [info.alias or name for name, info in model.model_fields.items()]
    near = difflib.get_close_matches(field, known, n=1, cutoff=0.5)
    remedy = f"Did you mean {near[0]}?" if near else _known_fields(known)
    return InvalidInput(f"There is no field {field}.", field=field, remedy=remedy)


def _known_fields(known: list[str]) -> str:
    return f"Known fields: {', '.join(sorted(known))}." if known else "This address takes no fields."

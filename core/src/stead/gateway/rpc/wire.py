"""JSON-RPC 2.0 as agents speak it: reading requests, writing answers and notifications."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stead.api.errors import InvalidInput, SteadError
from stead.domain.documents import to_json

MAX_MESSAGE = 512 * 1024
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
FAILED = -32000


@dataclass(frozen=True)
class Request:
    """``id`` is None for a notification, which gets no answer."""

    method: str
    params: Mapping[str, Any]
    id: str | int | None


class Malformed(SteadError):
    """A message that is no request; ``code`` is JSON-RPC's word for why."""

    reason = "malformed"

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def parse(text: str) -> Request:
    """
    :raises Malformed: it is not a request.
    """
    if len(text) > MAX_MESSAGE:
        raise Malformed("The message is too long.", INVALID_REQUEST)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("The message is not JSON.", PARSE_ERROR) from None
    if not isinstance(message, dict):
        raise Malformed("A message is an object.", INVALID_REQUEST)
    method, params, number = message.get("method"), message.get("params", {}), message.get("id")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise Malformed("A request has a method and an object of parameters.", INVALID_REQUEST)
    if not (number is None or (isinstance(number, (str, int)) and len(str(number)) <= 64)):
        raise Malformed("The id of a request is a short text or a number.", INVALID_REQUEST)
    return Request(method, params, number)


def result(number: str | int | None, value: Any) -> str:
    return _dump({"jsonrpc": "2.0", "id": number, "result": to_json(value)})


def failure(number: str | int | None, code: int, error: SteadError) -> str:
    data = {"reason": error.reason, "field": error.field}
    return _dump({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": str(error), "data": data}})


def notification(method: str, params: Mapping[str, Any]) -> str:
    return _dump({"jsonrpc": "2.0", "method": method, "params": to_json(params)})


def code_of(error: SteadError) -> int:
    if isinstance(error, Malformed):
        return error.code
    return INVALID_PARAMS if isinstance(error, InvalidInput) else FAILED


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

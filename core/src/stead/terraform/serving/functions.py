"""Python functions as provider functions."""

from __future__ import annotations

import functools
import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tf.gen import tfplugin_pb2 as pb

from stead.api.errors import SteadError
from stead.api.provider.types import Type, from_annotation
from stead.terraform.serving.wire import pack, unpack


@dataclass(frozen=True)
class Signature:
    parameters: tuple[tuple[str, Type], ...]
    variadic: tuple[str, Type] | None
    result: Type

    def type_at(self, index: int) -> Type | None:
        if index < len(self.parameters):
            return self.parameters[index][1]
        return self.variadic[1] if self.variadic else None


@functools.cache
def signature_of(function: Callable[..., Any]) -> Signature:
    """Parameters and result by annotation. ``*arguments`` is the variadic parameter."""
    hints = typing.get_type_hints(function)
    named, variadic = [], None
    for parameter in inspect.signature(function).parameters.values():
        declared = (parameter.name, from_annotation(hints[parameter.name]))
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            variadic = declared
        else:
            named.append(declared)
    return Signature(tuple(named), variadic, from_annotation(hints["return"]))


def signature(function: Callable[..., Any]) -> pb.Function:
    declared = signature_of(function)
    documentation = inspect.getdoc(function) or ""
    message = pb.Function(
        parameters=[_parameter(*parameter) for parameter in declared.parameters],
        variadic_parameter=_parameter(*declared.variadic) if declared.variadic else None,
        summary=documentation.partition("\n")[0],
        description=documentation,
    )
    getattr(message, "return").type = json.dumps(declared.result.signature()).encode()
    return message


def _parameter(name: str, kind: Type) -> pb.Function.Parameter:
    return pb.Function.Parameter(name=name, type=json.dumps(kind.signature()).encode())


def call(function: Callable[..., Any], request: pb.CallFunction.Request) -> pb.CallFunction.Response:
    """Call with decoded arguments. ``ValueError`` is the way of a function to refuse an argument."""
    declared = signature_of(function)
    arguments = []
    for index, argument in enumerate(request.arguments):
        kind = declared.type_at(index)
        if kind is None:
            return _refusal(f"{function.__name__} takes fewer arguments.", index)
        arguments.append(kind.decode(unpack(argument)))
    try:
        result = function(*arguments)
    except (ValueError, SteadError) as refused:
        return _refusal(str(refused))
    return pb.CallFunction.Response(result=pack(declared.result.encode(result)))


def _refusal(text: str, argument: int | None = None) -> pb.CallFunction.Response:
    return pb.CallFunction.Response(error=pb.FunctionError(text=text, function_argument=argument))

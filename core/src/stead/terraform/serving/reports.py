"""What provider code raised and collected, as diagnostics."""

from __future__ import annotations

import logging

from tf.gen import tfplugin_pb2 as pb

from stead.api.errors import SteadError
from stead.api.provider.context import Context
from stead.api.provider.model import Model
from stead.terraform.serving.session import Link
from stead.terraform.serving.wire import error, from_failure, from_message, path_of

logger = logging.getLogger(__name__)


def of_failure(failure: Exception, link: Link, model: type[Model]) -> pb.Diagnostic:
    """Expected failures say what they say; anything else is a bug, of which only the class is shown."""
    if isinstance(failure, SteadError):
        link.session.failures.append(failure)
        return from_failure(failure, model)
    logger.error("Provider %s failed on %s", link.spec.address, model.__name__, exc_info=failure)
    return error(
        f"The provider {link.spec.address} has a bug: {type(failure).__name__} in {model.__name__}.",
        "The server's log has the details. Please report them to the plugin's author.",
    )


def of_context(context: Context, model: type[Model]) -> list[pb.Diagnostic]:
    """The warnings and errors that a provider collected."""
    warnings = [from_message(message, model, fatal=False) for message in context.warnings]
    return warnings + [from_message(message, model, fatal=True) for message in context.errors]


def of_unassigned(model: type[Model], name: str) -> pb.Diagnostic:
    return error(
        f"The provider has a bug: it left {name} of {model.__name__} without a value.",
        "Please report it to the plugin's author.",
        path_of(name, model),
    )

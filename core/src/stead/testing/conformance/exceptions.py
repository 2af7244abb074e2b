"""Instances of every exception that an SDK has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

WORDS = "it went wrong"
# What constructors of exceptions take, as far as it can be guessed.
GUESSES: tuple[tuple[Any, ...], ...] = ((WORDS,), (), (WORDS, WORDS), (WORDS, "text", 0), (WORDS, WORDS, WORDS))


def exceptions_of(
    *modules: ModuleType, makers: Mapping[str, Callable[[], Exception]] | None = None
) -> Iterator[Exception]:
    """One instance of each exception class that is defined in ``modules``.

    :param makers: by class name, for those that cannot be made from a few words.
    :raises TypeError: a class takes other arguments and has no maker.
    """
    for module in modules:
        for name, kind in inspect.getmembers(module, inspect.isclass):
            own = kind.__module__ == module.__name__
            if own and issubclass(kind, Exception) and not issubclass(kind, Warning):
                yield (makers or {}).get(name, lambda kind=kind: _guess(kind))()


def _guess(kind: type[Exception]) -> Exception:
    for arguments in GUESSES:
        try:
            return kind(*arguments)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError):
            continue
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} needs arguments that cannot be guessed: give it a maker")

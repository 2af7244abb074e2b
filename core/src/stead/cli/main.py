"""The ``stead`` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from stead.cli.failures import CliError, Exit, exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code. The one place that maps errors to messages and codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except CliError as error:
        return _report(error.message, error.reason, error.field, error.remedy)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:
        # The boundary of the program: errors of Stead are for people, others are bugs and keep their trace.
        if not hasattr(error, "remedy"):
            raise
        return _report(error.message, error.reason, error.field, error.remedy)  # type: ignore[attr-defined]


def _run(arguments: list[str]) -> int:
    if arguments[:2] in (["ssh", "--stdio"], ["ssh", "--prepare"]) and len(arguments) == 3:
        # What OpenSSH runs for each connection does not wait for the command line to be put together.
        from stead.cli import connection

        return connection.stdio(arguments[2]) if arguments[1] == "--stdio" else connection.prepare(arguments[2])
    from stead.cli.root import run

    return run(arguments)


def _report(message: str, reason: str, field: str | None, remedy: str | None) -> int:
    where = f"{field}: " if field and field not in message else ""
    sys.stderr.write(f"stead: {where}{message}\n")
    if remedy:
        sys.stderr.write(f"  {remedy}\n")
    return exit_code(reason)


if __name__ == "__main__":
    sys.exit(main())

"""The ``stead`` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from stead.cli.failures import CliError, Exit, exit_code
from stead.cli.plain import harmless_lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code. The one place that maps errors to messages and codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = _wants_json(given)
    try:
        return _run(given, as_json)
    except CliError as error:
        return _report(error.message, error.reason, error.field, error.remedy, as_json)
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
        return _report(error.message, error.reason, error.field, error.remedy, as_json)  # type: ignore[attr-defined]


def _run(arguments: list[str], as_json: bool) -> int:
    if arguments[:2] in (["ssh", "--stdio"], ["ssh", "--prepare"]) and len(arguments) == 3:
        # What OpenSSH runs for each connection does not wait for the command line to be put together.
        from stead.cli import connection

        return connection.stdio(arguments[2]) if arguments[1] == "--stdio" else connection.prepare(arguments[2])
    from stead.cli.root import run

    return run(arguments, raise_usage_errors=as_json)


def _wants_json(arguments: list[str]) -> bool:
    """Whether the command was asked for JSON. Read from its words, as it may not come to understanding them."""
    if arguments[:1] == ["ssh"]:
        return False  # What stands there is for OpenSSH and for the workspace.
    wanted = os.environ.get("STEAD_OUTPUT", "")
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for word, value in zip(words, [*words, ""][1:], strict=True):
        if word in {"-o", "--output"}:
            wanted = value
        elif word.startswith("--output="):
            wanted = word.removeprefix("--output=")
        elif word.startswith("-o"):
            wanted = word.removeprefix("-o")
    return wanted == "json"


def _report(message: str, reason: str, field: str | None, remedy: str | None, as_json: bool) -> int:
    if as_json:
        import json  # connections are quick without

        error = {"reason": reason, "message": message, "field": field, "remedy": remedy}
        sys.stderr.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
        return exit_code(reason)
    where = f"{field}: " if field and field not in message else ""
    sys.stderr.write(harmless_lines(f"stead: {where}{message}\n"))
    if remedy:
        sys.stderr.write(harmless_lines(f"  {remedy}\n"))
    return exit_code(reason)


if __name__ == "__main__":
    sys.exit(main())

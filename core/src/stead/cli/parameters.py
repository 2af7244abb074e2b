"""The parameters of a template as a person gives them: as options, or as answers to questions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import click

from stead.cli.client import Json
from stead.cli.failures import usage_error
from stead.cli.output import is_interactive
from stead.cli.plain import brief, harmless_lines


def parse_pairs(given: Iterable[str], option: str = "--parameter") -> dict[str, str]:
    """``NAME=VALUE`` pairs.

    :raises CliError: one is not a pair.
    """
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise usage_error(f"{text!r} is not NAME=VALUE.", field=option)
        pairs[name.strip()] = value
    return pairs


def check_known(given: Mapping[str, str], parameters: Iterable[Json]) -> None:
    """Refuse names that the template does not have.

    :raises CliError: names the unknown one and the nearest that is known.
    """
    known = [parameter["name"] for parameter in parameters]
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.4)
            remedy = f"Did you mean {near[0]}?" if near else f"It has: {', '.join(sorted(known)) or 'none'}."
            raise usage_error(f"The template has no parameter {name}.", field=name, remedy=remedy)


def complete(given: Mapping[str, str], parameters: Iterable[Json], preset: Mapping[str, str]) -> dict[str, str]:
    """Ask for every parameter that is neither given nor set by the preset, as long as somebody is there.

    Where nobody is, defaults are the server's business, and a required parameter without value is an error
    that names all of them.
    """
    chosen = dict(given)
    missing = []
    for parameter in sorted(parameters, key=lambda item: (item["order"], item["name"])):
        name = parameter["name"]
        if name in chosen or name in preset or parameter["ephemeral"]:
            continue
        if is_interactive():
            chosen[name] = ask(parameter)
        elif parameter["required"] and parameter["default"] is None:
            missing.append(name)
    if missing:
        options = " ".join(f"--parameter {name}=…" for name in missing)
        raise usage_error(f"The template needs {', '.join(missing)}.", field=missing[0], remedy=f"Add {options}")
    return chosen


def ask(parameter: Json) -> str:
    """Ask for one parameter on the terminal; Enter takes the default."""
    click.echo(click.style(brief(parameter["display_name"] or parameter["name"]), bold=True), err=True)
    if parameter["description"]:
        click.echo(f"  {harmless_lines(parameter['description'].strip())}", err=True)
    if parameter["options"]:
        return _ask_option(parameter)
    if parameter["type"] == "bool":
        return str(_ask_bool(parameter)).lower()
    return str(
        click.prompt(
            "  Value" if parameter["type"] != "list(string)" else "  Values, separated by commas",
            default=parameter["default"],
            value_proc=lambda text: _typed(parameter["type"], text),
            err=True,
        )
    )


def _ask_bool(parameter: Json) -> bool:
    default = None if parameter["default"] is None else parameter["default"] == "true"
    return click.confirm("  Yes?", default=default, err=True)


def _ask_option(parameter: Json) -> str:
    options = parameter["options"]
    for number, option in enumerate(options, 1):
        text = f" - {brief(option['description'])}" if option["description"] else ""
        click.echo(f"  {number}. {brief(option['name'])}{text}", err=True)
    values = [option["value"] for option in options]
    default = values.index(parameter["default"]) + 1 if parameter["default"] in values else None
    several = parameter["form_type"] == "multi-select"
    question = "  Numbers, separated by commas" if several else "  Number"
    answer: object = click.prompt(
        question,
        default=None if default is None else str(default),
        value_proc=lambda text: _numbers(text, len(options), several=several),
        err=True,
    )
    picked = [values[int(number) - 1] for number in str(answer).split(",")]
    return json.dumps(picked) if several else str(picked[0])


def _numbers(text: str, count: int, *, several: bool) -> str:
    """The numbers as they were typed, if each is one of the options'."""
    parts = [part.strip() for part in text.split(",")] if several else [text.strip()]
    if not all(part.isdigit() and 1 <= int(part) <= count for part in parts):
        raise click.UsageError(f"pick from 1 to {count}")
    return ",".join(parts)


def _typed(kind: str, text: str) -> str:
    if kind == "number":
        try:
            float(text)
        except ValueError:
            raise click.UsageError("a number is needed") from None
    if kind == "list(string)" and not text.lstrip().startswith("["):
        return json.dumps([part.strip() for part in text.split(",") if part.strip()])
    return text

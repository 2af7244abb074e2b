"""What a template's files say before anything runs: variables, providers, and what is wrong with them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.api.errors import TemplateInvalid
from stead.api.provider.fields import Attribute
from stead.api.provider.model import Model
from stead.api.provider.resources import Provider
from stead.terraform import hcl
from stead.terraform.diagnostics import Diagnostic
from stead.terraform.serving.schemas import nested_object

_BUILTIN = "terraform.io/builtin/terraform"
_META = {"count", "for_each", "depends_on", "provider"}
_META_BLOCKS = {"lifecycle", "provisioner", "connection", "timeouts"}


@dataclass(frozen=True)
class Variable:
    """An input variable. ``default`` is JSON, or ``None`` where there is none."""

    name: str
    type: str = "any"
    description: str = ""
    default: str | None = None
    required: bool = True
    sensitive: bool = False


@dataclass(frozen=True)
class ProviderNeed:
    """A provider that the template uses.

    :param address: with its host.
    :param version: the constraint as written.
    :param served: a plugin of this server brings it.
    :param uncovered: what the template uses of it that the plugin does not have, each with its place.
    """

    address: str
    version: str = ""
    served: bool = False
    uncovered: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceError:
    file: str
    line: int
    summary: str
    detail: str = ""


@dataclass(frozen=True)
class Inspection:
    """The result. Where there are errors, the rest is what could still be read."""

    variables: tuple[Variable, ...] = ()
    providers: tuple[ProviderNeed, ...] = ()
    errors: tuple[SourceError, ...] = ()

    def raise_if_invalid(self) -> None:
        """Raise :class:`TemplateInvalid` for the first error."""
        if self.errors:
            first = self.errors[0]
            place = f"{first.file}:{first.line}" if first.file else None
            where = f" ({place})" if place else ""
            raise TemplateInvalid(
                f"{first.summary.rstrip('.')}{where}. {first.detail}".strip(),
                field=place,
                remedy="Correct the template and import it again.",
            )


@dataclass(frozen=True)
class _File:
    name: str
    body: hcl.Body


@dataclass(frozen=True)
class _Use:
    """A resource or data block."""

    block: hcl.Block
    place: str

    @property
    def type(self) -> str:
        return self.block.labels[0]

    @property
    def address(self) -> str:
        prefix = "data." if self.block.type == "data" else ""
        return prefix + ".".join(self.block.labels)


def inspect(source: Path, served: Mapping[str, type[Provider]], diagnostics: Sequence[Diagnostic]) -> Inspection:
    """Read the root module and the local modules that it calls.

    :param served: provider classes by full address.
    :param diagnostics: what Terraform itself says about the files.
    """
    errors = [SourceError(item.file, item.line, item.summary, item.detail) for item in diagnostics]
    files, unread = _read(source)
    if not errors:
        errors = unread
    if not files and not errors:
        errors = [SourceError("", 0, "The template has no Terraform file (*.tf) at its top level.")]
    modules = list(_modules(source, files, seen={source.resolve()}))
    return Inspection(
        variables=tuple(_variable(block) for file in files for block in file.body.of_type("variable")),
        providers=tuple(_needs(modules, served)),
        errors=tuple(errors),
    )


def variables_of(source: Path) -> dict[str, Variable]:
    """The variables that the root module declares, as far as its files can be read."""
    files, _ = _read(source)
    found = (_variable(block) for file in files for block in file.body.of_type("variable"))
    return {variable.name: variable for variable in found}


def declares_backend(source: Path) -> bool:
    """Whether the template says where its state is kept, which is Stead's to say."""
    files, _ = _read(source)
    blocks = [block for file in files for block in file.body.of_type("terraform")]
    return any(
        block.body.of_type("backend") or block.body.of_type("cloud") or {"backend", "cloud"} & set(block.body.arguments)
        for block in blocks
    )


def _read(folder: Path) -> tuple[list[_File], list[SourceError]]:
    files, errors = [], []
    for path in sorted(folder.iterdir()):
        parse = hcl.parse_json if path.name.endswith(".tf.json") else hcl.parse
        if not path.name.endswith((".tf", ".tf.json")) or not path.is_file():
            continue
        try:
            files.append(_File(path.name, parse(path.read_text(encoding="utf-8"))))
        except hcl.HclError as error:
            errors.append(SourceError(path.name, error.line, "The file cannot be read", str(error)))
        except ValueError as error:  # not UTF-8, or not JSON
            errors.append(SourceError(path.name, 1, "The file cannot be read", str(error)))
    return files, errors


def _modules(folder: Path, files: list[_File], seen: set[Path]) -> Iterator[list[_File]]:
    yield files
    for file in files:
        for call in file.body.of_type("module"):
            source = call.body.text("source")
            inner = (folder / source).resolve()
            if source.startswith("./") and inner.is_dir() and inner not in seen:
                seen.add(inner)
                yield from _modules(inner, _read(inner)[0], seen)


def _variable(block: hcl.Block) -> Variable:
    arguments = block.body.arguments
    declared = arguments.get("default")
    return Variable(
        name=block.labels[0] if block.labels else "",
        type=_type_text(arguments["type"].expression) if "type" in arguments else "any",
        description=block.body.text("description"),
        default=_default(declared) if declared else None,
        required=declared is None,
        sensitive="sensitive" in arguments and arguments["sensitive"].expression == "true",
    )


def _type_text(expression: str) -> str:
    """The type as one line; JSON files have it in quotes."""
    return " ".join(expression.split()).strip('"')


def _default(argument: hcl.Argument) -> str:
    try:
        return json.dumps(argument.constant)
    except ValueError:
        return "null"


def _needs(modules: list[list[_File]], served: Mapping[str, type[Provider]]) -> Iterator[ProviderNeed]:
    versions: dict[str, list[str]] = {}
    uncovered: dict[str, list[str]] = {}
    for files in modules:
        names = dict(_required(files))
        for address, version in names.values():
            versions.setdefault(address, []).extend([version] if version else [])
        for use in _uses(files):
            local = _local_name(use)
            address = names[local][0] if local in names else full_address(local)
            versions.setdefault(address, [])
            if address in served:
                uncovered.setdefault(address, []).extend(_uncovered(use, served[address]))
    for address in sorted(versions):
        if address != _BUILTIN:
            yield ProviderNeed(
                address,
                ", ".join(dict.fromkeys(versions[address])),
                address in served,
                tuple(uncovered.get(address, ())),
            )


def full_address(source: str) -> str:
    """A source address with host and namespace; Terraform's own type is built in."""
    if source == "terraform":
        return _BUILTIN
    parts = source.lower().split("/")
    defaults = ["registry.terraform.io", "hashicorp"]
    return "/".join([*defaults[: 3 - len(parts)], *parts]) if len(parts) < 3 else source.lower()


def _required(files: list[_File]) -> Iterator[tuple[str, tuple[str, str]]]:
    for file in files:
        for block in file.body.of_type("terraform"):
            for required in block.body.of_type("required_providers"):
                for name, argument in required.body.arguments.items():
                    yield name, _requirement(name, argument)


def _requirement(name: str, argument: hcl.Argument) -> tuple[str, str]:
    try:
        value: Any = argument.constant
    except ValueError:  # with configuration_aliases, which are references
        value = _loose(argument.expression)
    if isinstance(value, str):
        return full_address(name), value
    if not isinstance(value, dict):
        return full_address(name), ""
    return full_address(str(value.get("source") or name)), str(value.get("version") or "")


def _loose(expression: str) -> dict[str, str]:
    try:
        body = hcl.parse(expression.strip().removeprefix("{").removesuffix("}").replace(",", "\n"))
    except hcl.HclError:
        return {}
    return {name: body.text(name) for name in ("source", "version")}


def _uses(files: list[_File]) -> Iterator[_Use]:
    for file in files:
        for block in file.body.blocks:
            if block.type in {"resource", "data"} and len(block.labels) == 2:
                yield _Use(block, f"{file.name}:{block.line}")


def _local_name(use: _Use) -> str:
    """The provider's local name: said by ``provider = x.alias``, else the first word of the type."""
    chosen = use.block.body.arguments.get("provider")
    if chosen is not None:
        return chosen.expression.strip('"').partition(".")[0]
    return use.type.partition("_")[0]


def _uncovered(use: _Use, provider: type[Provider]) -> Iterator[str]:
    kinds: Sequence[type[Any]] = provider.data_sources if use.block.type == "data" else provider.resources
    kind = next((item for item in kinds if item.type_name == use.type), None)
    if kind is None:
        word = "data source" if use.block.type == "data" else "resource type"
        close = difflib.get_close_matches(use.type, [item.type_name for item in kinds], 1, 0.8)
        yield f"{word} {use.type} ({use.place}{f'; is {close[0]} meant?' if close else ''})"
        return
    file = use.place.partition(":")[0]
    for name, line in _unknown(use.block.body, kind, top=True):
        yield f"{name} of {use.address} ({file}:{line})"


def _unknown(body: hcl.Body, model: type[Model], *, top: bool) -> Iterator[tuple[str, int]]:
    schema = model.schema()
    for argument in body.arguments.values():
        known = argument.name in schema.attributes or argument.name in schema.blocks
        if not known and not (top and argument.name in _META):
            yield argument.name, argument.line
    for block in body.blocks:
        name, content = _block_of(block)
        if name in schema.blocks:
            yield from _unknown(content, schema.blocks[name].model, top=False)
        elif not _accepts_blocks(schema.attributes.get(name)) and not (top and name in _META_BLOCKS):
            yield name, block.line


def _block_of(block: hcl.Block) -> tuple[str, hcl.Body]:
    """``dynamic "x" { content { … } }`` stands for blocks of type x."""
    if block.type != "dynamic" or not block.labels:
        return block.type, block.body
    content = block.body.of_type("content")
    return block.labels[0], content[0].body if content else hcl.Body()


def _accepts_blocks(attribute: Attribute | None) -> bool:
    if attribute is None:
        return False
    return attribute.as_blocks or nested_object(attribute) is not None

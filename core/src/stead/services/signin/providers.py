"""The identity providers that are configured: read at the start, asked through one door."""

from __future__ import annotations

import difflib
import json
import logging
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from stead.api.errors import InvalidInput, NotFound, SteadError, Unavailable
from stead.api.signin import (
    CORE_SETTINGS,
    AuthenticationFailed,
    CredentialsProvider,
    Directory,
    IdentityProvider,
    IdentityProviderSpec,
    Person,
    RedirectProvider,
)
from stead.plugins import PluginRegistry, StatusKind
from stead.services.signin.gate import Gate
from stead.services.signin.settings import CoreSettings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RESERVED = frozenset({"local", "password", "attempts"})
LONGEST_ISSUER = 512
LONGEST_SUBJECT = 255


@dataclass(frozen=True)
class Configured:
    """One ``[identity.NAME]``."""

    name: str
    spec: IdentityProviderSpec
    settings: CoreSettings
    provider: IdentityProvider = field(repr=False)
    gate: Gate = field(repr=False)

    @property
    def title(self) -> str:
        return self.settings.title or self.spec.title

    @property
    def icon(self) -> str:
        return self.settings.icon or self.spec.icon

    @property
    def redirect(self) -> RedirectProvider | None:
        return self.provider if isinstance(self.provider, RedirectProvider) else None

    @property
    def credentials(self) -> CredentialsProvider | None:
        return self.provider if isinstance(self.provider, CredentialsProvider) else None

    @property
    def directory(self) -> Directory | None:
        return self.provider if isinstance(self.provider, Directory) else None

    def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the provider; what it may raise is :class:`AuthenticationFailed` and ``Unavailable``, nothing else."""
        with self.gate.question():
            try:
                return question(*args, **kwargs)
            except (AuthenticationFailed, Unavailable):
                raise
            except Exception as error:
                # The boundary to a plugin: a defect of one provider must not become one of signing in.
                log.exception("The identity provider %s failed.", self.name)
                raise Unavailable(
                    f"{self.title} cannot be used just now.", remedy="An administrator finds the reason in the log."
                ) from error

    def ask_person(self, question: Callable[P, Person | None], *args: P.args, **kwargs: P.kwargs) -> Person | None:
        """:meth:`ask` for somebody, of whom the core can keep what makes them out."""
        person = self.ask(question, *args, **kwargs)
        if person is None:
            return None
        if not isinstance(person, Person) or not _fits(person):
            log.error("The identity provider %s gave somebody without a usable issuer and subject.", self.name)
            raise Unavailable(f"{self.title} did not say who this is.")
        return person


def _fits(person: Person) -> bool:
    return bool(
        0 < len(person.issuer) <= LONGEST_ISSUER
        and 0 < len(person.subject) <= LONGEST_SUBJECT
        and person.issuer.isprintable()
        and person.subject.isprintable()
    )


class Providers:
    """All that are configured and enabled, in the order of the sign-in page."""

    def __init__(self, configured: Mapping[str, Configured] | None = None) -> None:
        ordered = sorted((configured or {}).values(), key=lambda one: (one.settings.order, one.title, one.name))
        self._configured = {one.name: one for one in ordered}

    def __iter__(self) -> Iterator[Configured]:
        return iter(self._configured.values())

    def __contains__(self, name: object) -> bool:
        return name in self._configured

    def get(self, name: str) -> Configured:
        """
        :raises NotFound: no provider of this name is configured and enabled.
        """
        found = self._configured.get(name)
        if found is None:
            raise NotFound("There is no identity provider of this name.", remedy="Go back to the sign-in page.")
        return found

    def close(self) -> None:
        for one in self:
            try:
                one.provider.close()
            except Exception:
                # The boundary to a plugin: one that does not close must not keep the next from it.
                log.warning("The identity provider %s did not close well.", one.name, exc_info=True)


def load(sections: Mapping[str, Mapping[str, Any]], plugins: PluginRegistry) -> Providers:
    """Make every provider that is configured.

    :raises InvalidInput: one of them cannot be; the message says which and why.
    """
    made: dict[str, Configured] = {}
    try:
        for name, section in sections.items():
            one = _load_one(name, section, plugins)
            if one is not None:
                made[name] = one
    except BaseException:
        Providers(made).close()
        raise
    return Providers(made)


def _load_one(name: str, section: Mapping[str, Any], plugins: PluginRegistry) -> Configured | None:
    if name in RESERVED:
        raise InvalidInput(f"[identity.{name}]: the name {name!r} is reserved.", field=f"identity.{name}")
    core = _validated(name, CoreSettings, {key: value for key, value in section.items() if key in CORE_SETTINGS})
    if not core.enabled:
        return None
    spec = _kind(name, core.kind, plugins)
    own = _own_settings(name, section, spec.settings)
    settings = _validated(name, spec.settings, own)
    try:
        provider = spec.factory(settings)
    except SteadError as error:
        raise InvalidInput(f"[identity.{name}] cannot be used: {error}", field=f"identity.{name}") from error
    except Exception as error:
        # The boundary to a plugin: a provider that is configured and cannot be made stops the start.
        log.debug("the factory of %s failed", name, exc_info=True)
        raise InvalidInput(
            f"[identity.{name}] cannot be used: {type(error).__name__}: {str(error)[:300]}.", field=f"identity.{name}"
        ) from error
    if not isinstance(provider, RedirectProvider | CredentialsProvider):
        raise InvalidInput(f"[identity.{name}]: the kind {spec.kind!r} signs nobody in.", field=f"identity.{name}")
    return Configured(name, spec, core, provider, Gate(core.title or spec.title, core.sign_ins_at_once))


def _kind(name: str, kind: str, plugins: PluginRegistry) -> IdentityProviderSpec:
    kinds = plugins.identity_kinds()
    if kind in kinds:
        return kinds[kind]
    failed = [status for status in plugins.status() if status.status is StatusKind.FAILED]
    why = "".join(f" The plugin {status.name} failed to load: {status.error}" for status in failed)
    near = difflib.get_close_matches(kind, list(kinds), n=1)
    known = f"Did you mean {near[0]!r}?" if near else f"Installed: {', '.join(sorted(kinds)) or 'none'}."
    raise InvalidInput(
        f"[identity.{name}]: no plugin brings the kind {kind!r}.{why}",
        field=f"identity.{name}.kind",
        remedy=f"{known} Install the plugin that brings it, or set enabled = false.",
    )


def _own_settings(name: str, section: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """What is the kind's own, with secrets read from their files and text of the environment taken apart."""
    fields = {alias: info for key, info in model.model_fields.items() for alias in {key, info.alias or key}}
    found: dict[str, Any] = {}
    for key, value in section.items():
        if key in CORE_SETTINGS:
            continue
        secret = key.removesuffix("_file")
        if key in fields or _takes_anything(model):
            found[key] = _taken_apart(value, fields[key].annotation if key in fields else None)
        elif key.endswith("_file") and secret in fields and _is_secret(fields[secret].annotation):
            found[secret] = _read_secret(f"identity.{name}.{key}", value)
        else:
            raise _unknown(name, key, fields)
    return found


def _takes_anything(model: type[BaseModel]) -> bool:
    return model.model_config.get("extra") == "allow"


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


def _unknown(name: str, key: str, fields: Mapping[str, Any]) -> InvalidInput:
    near = difflib.get_close_matches(key, [*fields, *CORE_SETTINGS], n=1, cutoff=0.5)
    remedy = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted({*fields, *CORE_SETTINGS}))}."
    return InvalidInput(f"There is no setting identity.{name}.{key}.", field=f"identity.{name}.{key}", remedy=remedy)


Model = TypeVar("Model", bound=BaseModel)


def _validated(name: str, model: type[Model], values: Mapping[str, Any]) -> Model:
    """The first problem is told without the value, which may be a secret."""
    prepared = {
        key: _taken_apart(value, model.model_fields[key].annotation) if key in model.model_fields else value
        for key, value in values.items()
    }
    try:
        return model.model_validate(prepared)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(["identity", name, *(str(part) for part in first["loc"])])
        text = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"Setting {where}: {text}.", field=where) from None

"""The identity providers that are configured: read at the start, asked through one door."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

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
from stead.services.sections import Table
from stead.services.signin.gate import Gate, Turns
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

    def __init__(self, configured: Mapping[str, Configured] | None = None, kept: Iterable[str] = ()) -> None:
        """
        :param kept: names of those that are off, and whose people keep what they have open.
        """
        ordered = sorted((configured or {}).values(), key=lambda one: (one.settings.order, one.title, one.name))
        self._configured = {one.name: one for one in ordered}
        self._kept = frozenset(kept)
        self.turns = Turns()

    def __iter__(self) -> Iterator[Configured]:
        return iter(self._configured.values())

    def __contains__(self, name: object) -> bool:
        return name in self._configured

    @property
    def trusted(self) -> frozenset[str]:
        """Names of the providers whose people may have something open."""
        return self._kept | frozenset(self._configured)

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
    kept: set[str] = set()
    try:
        for name, section in sections.items():
            table, settings = _read(name, section)
            if settings.enabled:
                made[name] = _load_one(name, table, settings, plugins)
            elif settings.when_disabled == "keep":
                kept.add(name)
    except BaseException:
        Providers(made).close()
        raise
    return Providers(made, kept)


def _read(name: str, section: Mapping[str, Any]) -> tuple[Table, CoreSettings]:
    if name in RESERVED:
        raise InvalidInput(f"[identity.{name}]: the name {name!r} is reserved.", field=f"identity.{name}")
    table = Table("identity", name, section, CORE_SETTINGS)
    return table, table.core(CoreSettings)


def _load_one(name: str, table: Table, core: CoreSettings, plugins: PluginRegistry) -> Configured:
    spec = _kind(name, core.kind, plugins)
    settings = table.own(spec.settings)
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

"""The policies that are enabled: made at the start, asked through one door."""

from __future__ import annotations

import difflib
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, Field

from stead.api.errors import InvalidInput, SteadError
from stead.api.policies import POLICY_CORE_SETTINGS, BuildRequest, Finding, Policy, PolicySpec, Severity
from stead.domain.policies import Ruling, Verdict
from stead.plugins import PluginRegistry, StatusKind
from stead.services.bounded import Answer, Bounded, Late
from stead.services.policies.prices import PriceBook
from stead.services.sections import Table

log = logging.getLogger(__name__)

AT_ONCE = 16  # judgements of one policy, those that hang included
MOST_FINDINGS = 20  # of one judgement that are shown; the rest is counted
ENDLESS = 10_000
LONGEST_TEXT = 1000  # characters of a message, a place or a remedy

Question = Callable[[Policy], Iterable[Finding]]


class PolicySettings(BaseModel, extra="forbid"):
    """What the core reads of ``[policies.NAME]``."""

    policy: str = Field(default="", description="Which policy; the table's name where this is empty.")
    enabled: bool = Field(default=True, description="Whether it judges.")
    templates: list[str] = Field(
        default_factory=list, description="Names of the templates whose builds it judges; * is any text. Empty: all."
    )
    mode: Literal["enforce", "warn"] = Field(
        default="enforce", description="warn: what it would deny is shown as a warning. For trying it out."
    )
    deadline: float = Field(default=5.0, gt=0, le=60, description="Seconds after which a judgement is a denial.")


@dataclass(frozen=True)
class EnabledPolicy:
    """One ``[policies.NAME]``. ``counts`` are of this process: judged, denied, failed, late."""

    name: str
    spec: PolicySpec
    settings: PolicySettings
    policy: Policy = field(repr=False)
    counts: Counter[str] = field(default_factory=Counter, compare=False)
    _bounded: Bounded = field(default_factory=lambda: Bounded("stead-policy", AT_ONCE), repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def concerns(self, request: BuildRequest, method: str) -> bool:
        """Whether it has a say in this."""
        patterns = self.settings.templates
        return (
            self.judges(method)
            and request.transition in self.spec.transitions
            and (not patterns or any(fnmatchcase(request.template, pattern) for pattern in patterns))
        )

    def judges(self, method: str) -> bool:
        """Whether it overrides this method of :class:`Policy`."""
        return getattr(type(self.policy), method) is not getattr(Policy, method)

    def begin(self, question: Question) -> Callable[[], tuple[Ruling, ...]]:
        """Ask it in another thread; what is returned waits for the answer, and never raises."""
        until = time.monotonic() + self.settings.deadline
        try:
            answer = self._bounded.ask(lambda: _read(question(self.policy)), until)
        except Exception as error:  # noqa: BLE001 - boundary: a plugin call
            failed = self._failed(error)
            return lambda: failed
        return lambda: self._end(answer, until)

    def _end(self, answer: Answer[tuple[Finding, ...]], until: float) -> tuple[Ruling, ...]:
        try:
            findings = answer.get(until)
        except Exception as error:  # noqa: BLE001 - boundary: a plugin call
            return self._failed(error)
        self._count("judged")
        if any(finding.severity is Severity.DENY for finding in findings):
            self._count("denied")
        return tuple(self._ruling(finding) for finding in findings)

    def _failed(self, error: Exception) -> tuple[Ruling, ...]:
        """A policy that cannot judge has not consented."""
        late = isinstance(error, Late)
        self._count("judged", "late" if late else "failed")
        if late:
            what = f"It did not answer within {self.settings.deadline:g} s."
            log.warning("The policy %s did not answer within %g s.", self.name, self.settings.deadline)
        else:
            what = f"It could not judge ({type(error).__name__})."
            log.warning("The policy %s failed.", self.name, exc_info=error)
        remedy = "Try again; if it stays so, an administrator finds the reason in the server's log."
        return (self._ruling(Finding(Severity.DENY, what, remedy=remedy)),)

    def _ruling(self, finding: Finding) -> Ruling:
        trial = self.settings.mode == "warn" and finding.severity is Severity.DENY
        message = f"{_clean(finding.message)} This will be denied." if trial else _clean(finding.message)
        severity = Severity.WARN if trial else finding.severity
        return Ruling(self.name, severity, message, _clean(finding.where), _clean(finding.remedy))

    def _count(self, *what: str) -> None:
        with self._lock:
            self.counts.update(what)


def _read(answer: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings of an answer, denials first; it may be a generator, which judges while it is read.

    :raises TypeError: it is none.
    :raises ValueError: it does not end.
    """
    found = list(itertools.islice(answer, ENDLESS))
    if len(found) == ENDLESS:
        raise ValueError("its findings do not end")
    for finding in found:
        if not (isinstance(finding, Finding) and isinstance(finding.severity, Severity)):
            raise TypeError(f"a policy answers with findings, not with {type(finding).__name__}")
        if not all(isinstance(text, str) for text in (finding.message, finding.where, finding.remedy)):
            raise TypeError("message, where and remedy of a finding are text")
    found.sort(key=lambda finding: finding.severity is not Severity.DENY)
    shown, rest = found[:MOST_FINDINGS], found[MOST_FINDINGS:]
    if rest:
        shown.append(Finding(rest[0].severity, f"It found {len(rest)} more."))
    return tuple(shown)


def _clean(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:LONGEST_TEXT]


class Policies:
    """All that are configured and enabled, by name, and the prices that they are told."""

    def __init__(self, enabled: Mapping[str, EnabledPolicy] | None = None, prices: PriceBook | None = None) -> None:
        self._enabled = dict(sorted((enabled or {}).items()))
        self.prices = prices or PriceBook(())

    def __iter__(self) -> Iterator[EnabledPolicy]:
        return iter(self._enabled.values())

    def concerned(self, request: BuildRequest, method: str) -> list[EnabledPolicy]:
        """Those that have a say."""
        return [policy for policy in self if policy.concerns(request, method)]

    def any_judges(self, method: str) -> bool:
        return any(policy.judges(method) for policy in self)

    @staticmethod
    def judge(concerned: Iterable[EnabledPolicy], question: Question) -> Verdict:
        """What these say, asked all at once; never raises."""
        answers = [policy.begin(question) for policy in concerned]
        return Verdict(tuple(ruling for answer in answers for ruling in answer()))


def load(sections: Mapping[str, Mapping[str, Any]], plugins: PluginRegistry) -> Policies:
    """Make every policy that is configured.

    :raises InvalidInput: one of them cannot be; the message says which and why.
    """
    made = (_load_one(name, section, plugins) for name, section in sections.items())
    return Policies({policy.name: policy for policy in made if policy is not None}, PriceBook(plugins.platforms()))


def _load_one(name: str, section: Mapping[str, Any], plugins: PluginRegistry) -> EnabledPolicy | None:
    table = Table("policies", name, section, POLICY_CORE_SETTINGS)
    core = table.core(PolicySettings)
    if not core.enabled:
        return None
    spec = _spec(name, core.policy or name, plugins)
    settings = table.own(spec.settings)
    try:
        policy = spec.factory(settings)
    except SteadError as error:
        raise _unusable(name, str(error)) from error
    except Exception as error:
        # The boundary to a plugin: a policy that is enabled and cannot be made stops the start.
        log.debug("the factory of %s failed", name, exc_info=True)
        raise _unusable(name, f"{type(error).__name__}: {str(error)[:300]}.") from error
    if not isinstance(policy, Policy):
        raise _unusable(name, f"{spec.name!r} makes no policy.")
    return EnabledPolicy(name, spec, core, policy)


def _unusable(name: str, why: str) -> InvalidInput:
    return InvalidInput(f"[policies.{name}] cannot be used: {why}", field=f"policies.{name}")


def _spec(name: str, wanted: str, plugins: PluginRegistry) -> PolicySpec:
    known = plugins.policies()
    if wanted in known:
        return known[wanted]
    failed = [status for status in plugins.status() if status.status is StatusKind.FAILED]
    why = "".join(f" The plugin {status.name} failed to load: {status.error}" for status in failed)
    near = difflib.get_close_matches(wanted, list(known), n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Installed: {', '.join(sorted(known)) or 'none'}."
    raise InvalidInput(
        f"[policies.{name}]: no plugin brings the policy {wanted!r}.{why}",
        field=f"policies.{name}.policy",
        remedy=f"{hint} Install the plugin that brings it, correct policy, or set enabled = false.",
    )

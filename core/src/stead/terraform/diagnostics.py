"""What Terraform reports, and which of our failures it means."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stead.api.errors import BuildFailure, InvalidInput, ProviderUnavailable, SteadError, TemplateInvalid
from stead.terraform.errors import PlanFailed, caused_by

_LONGEST_REASON = 600
_INIT_PREAMBLE = "Terraform encountered problems during initialisation"
_MISSING_VARIABLE = re.compile(r'input variable "([^"]+)" is not set')
_NAMED_VARIABLE = re.compile(r'\bvariable "([^"]+)"|\bvar\.([\w-]+)')
_PROVIDER = re.compile(r'(?:provider|installing)\s+"?([a-z0-9.-]+(?:/[a-z0-9-]+){1,2})', re.IGNORECASE)
_PROVIDER_SUMMARIES = (
    "Failed to query available provider packages",
    "Failed to install provider",
    "Failed to resolve provider packages",
    "Invalid provider registry host",
    "Incompatible provider version",
    "Required plugins are not installed",
    "Missing required provider",
    "Inconsistent dependency lock file",
)


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning. ``file`` and ``line`` are where the template is to blame, else "" and 0.

    ``subjects`` are the references whose values led to it. The values are not kept: they may be secret.
    """

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    file: str = ""
    line: int = 0
    subjects: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Diagnostic:
        position = value.get("range") or {}
        file = position.get("filename", "")
        # The one file outside of the template is that of the variables, which nobody else sees.
        inside = bool(file) and not file.startswith("/")
        values = (value.get("snippet") or {}).get("values") or ()
        return cls(
            severity=value.get("severity", "error"),
            summary=value.get("summary", ""),
            detail=value.get("detail", ""),
            address=value.get("address", ""),
            file=file if inside else "",
            line=position.get("start", {}).get("line", 0) if inside else 0,
            subjects=tuple(item.get("traversal", "") for item in values),
        )

    @property
    def place(self) -> str:
        """``main.tf:12``, or "" where there is none."""
        return f"{self.file}:{self.line}" if self.file else ""

    @property
    def text(self) -> str:
        """One paragraph for a person, with the place."""
        where = f" ({self.place})" if self.place else ""
        body = f"{self.summary.rstrip('.')}{where}."
        return f"{body} {' '.join(self.detail.split())}".strip()


def errors_among(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The errors; the sentence that ``init`` puts before every list of errors is none."""
    return [item for item in diagnostics if item.severity == "error" and not item.summary.startswith(_INIT_PREAMBLE)]


def failure_of(
    diagnostics: Sequence[Diagnostic],
    stage: str,
    failures: Sequence[SteadError] = (),
    served: Sequence[str] = (),
    broken: Sequence[str] = (),
) -> SteadError:
    """The failure that these diagnostics of a failed step mean.

    :param stage: ``initializing``, ``planning`` or ``applying``.
    :param failures: what our providers raised during the step.
    :param served: full addresses of the providers that plugins serve.
    :param broken: names of plugins that did not load.
    """
    errors = errors_among(diagnostics)
    if not errors:
        return BuildFailure(f"Terraform failed while {stage} and did not say why.")
    failure = _from_provider(errors, failures) or _from_terraform(errors, stage, served, broken)
    if isinstance(failure, BuildFailure):
        failure.details = tuple(errors)
    return failure


def _from_provider(errors: Sequence[Diagnostic], failures: Sequence[SteadError]) -> SteadError | None:
    for failure in failures:
        shown = next((item for item in errors if item.summary == failure.message), None)
        if shown is None:
            continue
        if isinstance(failure, InvalidInput):
            return failure
        where = f"{shown.address}: " if shown.address else ""
        raised = PlanFailed(f"{where}{shown.text}", field=shown.place or None)
        return caused_by(raised, failure)
    return None


def _from_terraform(
    errors: Sequence[Diagnostic], stage: str, served: Sequence[str], broken: Sequence[str]
) -> SteadError:
    first = errors[0]
    variable = _variable_of(first)
    if variable:
        return _variable_failure(first, variable)
    missing = [item for item in errors if item.summary.startswith(_PROVIDER_SUMMARIES)]
    if missing:
        return provider_unavailable(missing[0], served, broken)
    if first.file:
        rest = len(errors) - 1
        count = f"is {rest} more error" if rest == 1 else f"are {rest} more errors"
        more = f" There {count} in the build log." if rest else ""
        return TemplateInvalid(f"{first.text}{more}", field=first.place, remedy=_remedy(first))
    return PlanFailed(first.text) if stage == "planning" else BuildFailure(first.text)


def _variable_of(item: Diagnostic) -> str:
    """The root variable whose value is missing or wrong."""
    match = _MISSING_VARIABLE.search(item.detail)
    if match:
        return match.group(1)
    if item.summary in {"Invalid value for input variable", "Invalid value for variable"}:
        for text in (*item.subjects, item.detail):
            found = _NAMED_VARIABLE.search(text)
            if found:
                return found.group(1) or found.group(2)
    return ""


def _variable_failure(item: Diagnostic, variable: str) -> InvalidInput:
    where = f" ({item.place})" if item.place else ""
    if _MISSING_VARIABLE.search(item.detail):
        return InvalidInput(
            f"The template's variable {variable} has no value{where}.",
            field=variable,
            remedy=f"Set it with the template's version (stead templates push --variable {variable}=VALUE), "
            "or give it a default.",
        )
    detail = " ".join(item.detail.split())
    return InvalidInput(
        f"The value of the template's variable {variable} is not acceptable{where}: {detail}", field=variable
    )


def _remedy(item: Diagnostic) -> str:
    if item.summary in {"Invalid resource type", "Invalid data source"}:
        return "Correct the type, or choose the original provider in the template's settings."
    return "Correct the template and import it again."


def provider_unavailable(
    item: Diagnostic, served: Sequence[str] = (), broken: Sequence[str] = ()
) -> ProviderUnavailable:
    """Terraform can get a provider neither from a plugin nor from anywhere else.

    :param served: full addresses of the providers that plugins serve; one of them may have been meant.
    :param broken: names of plugins that did not load; one of them may bring it.
    """
    text = " ".join(item.detail.split()).partition(" To see which modules")[0]
    match = _PROVIDER.search(text) or _PROVIDER.search(item.summary)
    name = match.group(1).removeprefix("registry.terraform.io/") if match else "of the template"
    reason = textwrap.shorten(text.rpartition(f"for provider {name}: ")[2], _LONGEST_REASON, placeholder=" …").rstrip(
        "."
    )
    meant = [address for address in served if address.endswith("/" + name.rpartition("/")[2])]
    remedy = (
        f"Install a Stead plugin that serves {name}, put the provider into the mirror folder "
        "(setting terraform_mirror), or let the server reach the provider's registry."
    )
    if meant:
        source = meant[0].removeprefix("registry.terraform.io/")
        remedy = f"If {source} is meant, write it as source in required_providers. Otherwise: {remedy}"
    if broken:
        names = " and ".join(broken)
        remedy = f"Did {names} bring it? That did not load: stead plugins list says why. Otherwise: {remedy}"
    return ProviderUnavailable(
        f"The provider {name} is not available: no plugin serves it here, and Terraform could not install "
        f"it ({reason}).",
        remedy=remedy,
    )

"""What the enabled policies say of a build, together."""

from __future__ import annotations

from dataclasses import dataclass

from stead.api.errors import PolicyDenied
from stead.api.policies import Severity


@dataclass(frozen=True)
class Ruling:
    """A finding, with the configured policy whose it is. ``where`` and ``remedy`` may be empty."""

    policy: str
    severity: Severity
    message: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        at = f" ({self.where})" if self.where else ""
        return f"The policy {self.policy}: {self.message}{at}"


@dataclass(frozen=True)
class Verdict:
    """All that was said, in the order of the policies. Nothing is consent."""

    rulings: tuple[Ruling, ...] = ()

    @property
    def denials(self) -> tuple[Ruling, ...]:
        return tuple(ruling for ruling in self.rulings if ruling.severity is Severity.DENY)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines to show."""
        found = (ruling for ruling in self.rulings if ruling.severity is Severity.WARN)
        return tuple(f"{ruling} {ruling.remedy}".rstrip() for ruling in found)

    def require(self) -> None:
        """Nothing, if the build may be.

        :raises PolicyDenied: it names each policy that denies it, what it found, and what to do.
        """
        denials = self.denials
        if not denials:
            return
        remedies = dict.fromkeys(ruling.remedy for ruling in denials if ruling.remedy)
        raise PolicyDenied(
            " ".join(map(str, denials)),
            field=next((ruling.where for ruling in denials if ruling.where), None),
            remedy=" ".join(remedies) or "Ask an administrator what is allowed.",
        )

"""Failures of a Terraform run that carry more than a message.

::

    BuildFailure
    ├── PlanFailed      a provider refused to plan, or to read a data source
    └── ApplyFailed     not everything could be created, changed or removed: has the state as far as it got
"""

from __future__ import annotations

from stead.api.errors import BuildFailure, SteadError


class PlanFailed(BuildFailure):
    reason = "plan_failed"


class ApplyFailed(BuildFailure):
    """``state`` is Terraform's state after the failure, to be kept like that of a success."""

    reason = "apply_failed"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        state: bytes | None = None,
    ) -> None:
        super().__init__(message, field=field, remedy=remedy)
        self.state = state


def caused_by(failure: BuildFailure, cause: SteadError | None) -> BuildFailure:
    """The failure with a provider's own as its cause, whose word becomes the reason where it says more."""
    if cause is not None:
        failure.__cause__ = cause
        failure.reason = cause.reason  # type: ignore[misc]  # of this one error, not of its class
    return failure

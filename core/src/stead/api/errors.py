"""Every expected failure of Stead, as one tree.

::

    SteadError
    ├── InvalidInput            a value is wrong: names the field and the remedy
    ├── NotAuthenticated        nobody is signed in, or the credential is bad or expired
    │   ├── IdentityRejected    a machine's document does not prove what it claims (stead.api.identity)
    │   └── AuthenticationFailed  a person must not come in (stead.api.signin)
    ├── Forbidden               signed in, but not allowed
    │   └── PolicyDenied        a policy of the organisation refuses the build
    ├── NotFound                no such thing, or none that the actor may see
    ├── Conflict                the present state does not allow it; a name is taken
    ├── TooLarge                an input is beyond its bound
    ├── RateLimited             too many attempts; try again later
    ├── Unavailable             something Stead depends on does not answer; worth a retry
    ├── PluginFailure           a plugin could not be loaded, or broke a promise
    ├── ProviderFailure         a Terraform provider could not do what was asked
    │   ├── CredentialsRejected
    │   ├── PermissionMissing
    │   ├── QuotaExceeded
    │   ├── CapacityExhausted
    │   ├── Throttled           worth a retry
    │   ├── PlatformUnreachable worth a retry
    │   ├── OperationTimedOut
    │   ├── ResourceNotFound
    │   └── ResourceConflict
    └── BuildFailure            a Terraform run did not reach its end
        ├── TemplateInvalid     the template itself is wrong: file and line where known
        ├── ProviderUnavailable no plugin serves the provider and Terraform cannot install it
        ├── BuildCanceled
        ├── BuildTimedOut
        └── LeaseLost           another provisioner owns the build now

``str(error)`` is a message for a person: what happened, why, and what to do. ``reason`` is a short
word of low cardinality, fit for a metric label. The technical cause is ``__cause__``.
"""

from __future__ import annotations

from typing import ClassVar


class SteadError(Exception):
    """Base of all expected failures.

    :param message: what a person reads; never holds a secret.
    :param field: name of the input field that is wrong, where there is one.
    :param remedy: what to do next, where it is not plain from the message.
    """

    reason: ClassVar[str] = "error"

    def __init__(self, message: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class InvalidInput(SteadError):
    reason = "invalid_input"


class NotAuthenticated(SteadError):
    reason = "not_authenticated"


class Forbidden(SteadError):
    reason = "forbidden"


class PolicyDenied(Forbidden):
    reason = "policy_denied"


class NotFound(SteadError):
    reason = "not_found"


class Conflict(SteadError):
    reason = "conflict"


class TooLarge(SteadError):
    reason = "too_large"


class RateLimited(SteadError):
    reason = "rate_limited"


class Unavailable(SteadError):
    reason = "unavailable"


class PluginFailure(SteadError):
    reason = "plugin_failure"


class ProviderFailure(SteadError):
    """A provider could not do what was asked.

    ``field`` is the attribute to point at: ``"image"``, ``"disk[0].size"``.
    """

    reason = "provider_failure"


class CredentialsRejected(ProviderFailure):
    reason = "credentials_rejected"


class PermissionMissing(ProviderFailure):
    reason = "permission_missing"


class QuotaExceeded(ProviderFailure):
    reason = "quota_exceeded"


class CapacityExhausted(ProviderFailure):
    reason = "capacity_exhausted"


class Throttled(ProviderFailure):
    reason = "throttled"


class PlatformUnreachable(ProviderFailure):
    reason = "platform_unreachable"


class OperationTimedOut(ProviderFailure):
    reason = "operation_timed_out"


class ResourceNotFound(ProviderFailure):
    reason = "resource_not_found"


class ResourceConflict(ProviderFailure):
    reason = "resource_conflict"


class BuildFailure(SteadError):
    """``details`` are Terraform's diagnostics where it gave some (``stead.terraform.diagnostics``)."""

    reason = "build_failed"
    details: tuple[object, ...] = ()


class TemplateInvalid(BuildFailure):
    reason = "template_invalid"


class ProviderUnavailable(BuildFailure):
    reason = "provider_unavailable"


class BuildCanceled(BuildFailure):
    reason = "canceled"


class BuildTimedOut(BuildFailure):
    reason = "timed_out"


class LeaseLost(BuildFailure):
    reason = "lease_lost"

"""What plugins import. Nothing here imports the rest of Stead."""

from stead.api.hookspecs import hookimpl
from stead.api.identity import ExpectedInstance, Identity, IdentityRejected, InstanceIdentity, MemoryReplays, Replays
from stead.api.records import (
    CredentialsReport,
    Event,
    NoSettings,
    OwnedResource,
    Platform,
    PlatformSpec,
    Price,
    ProviderSpec,
    StarterTemplate,
    Trial,
)

__all__ = [
    "CredentialsReport",
    "Event",
    "ExpectedInstance",
    "Identity",
    "IdentityRejected",
    "InstanceIdentity",
    "MemoryReplays",
    "NoSettings",
    "OwnedResource",
    "Platform",
    "PlatformSpec",
    "Price",
    "ProviderSpec",
    "Replays",
    "StarterTemplate",
    "Trial",
    "hookimpl",
]

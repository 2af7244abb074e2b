"""What plugins import. Nothing here imports the rest of Stead."""

from stead.api.hookspecs import hookimpl
from stead.api.records import (
    CredentialsReport,
    Event,
    NoSettings,
    OwnedResource,
    Platform,
    PlatformSpec,
    ProviderSpec,
    StarterTemplate,
    Trial,
)

__all__ = [
    "CredentialsReport",
    "Event",
    "NoSettings",
    "OwnedResource",
    "Platform",
    "PlatformSpec",
    "ProviderSpec",
    "StarterTemplate",
    "Trial",
    "hookimpl",
]

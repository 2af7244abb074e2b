"""The providers and platforms that Stead brings itself."""

from __future__ import annotations

from stead.api.records import PlatformSpec, ProviderSpec
from stead.terraform.coder.provider import coder_provider
from stead.terraform.host.provider import host_platform, host_provider
from stead.terraform.standard.cloudinit_provider import cloudinit_provider
from stead.terraform.standard.external_provider import external_provider
from stead.terraform.standard.http_provider import http_provider
from stead.terraform.standard.local_provider import local_provider
from stead.terraform.standard.null_provider import null_provider
from stead.terraform.standard.random_provider import random_provider
from stead.terraform.standard.time_provider import time_provider
from stead.terraform.standard.tls_provider import tls_provider


def builtin_providers() -> list[ProviderSpec]:
    """What every template may use without a plugin."""
    return [
        coder_provider(),
        null_provider(),
        random_provider(),
        local_provider(),
        time_provider(),
        tls_provider(),
        cloudinit_provider(),
        external_provider(),
        http_provider(),
        host_provider(),
    ]


def builtin_platforms() -> list[PlatformSpec]:
    """Where workspaces can run without a plugin: on this machine, for trying Stead out."""
    return [host_platform()]

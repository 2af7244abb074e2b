"""The provider ``example/acme``."""

from __future__ import annotations

from typing import Any

from stead.api.provider import Context, Provider
from stead_acme.cloud import Cloud
from stead_acme.machine import Machine
from stead_acme.settings import AcmeSettings


class Acme(Provider, address="example/acme", resources=[Machine]):
    """Machines on Acme."""

    def __init__(self, settings: AcmeSettings | None = None, **values: Any) -> None:
        super().__init__(**values)
        self.cloud = Cloud(settings or AcmeSettings())

    def configure(self, context: Context) -> None:
        context.check()
        self.cloud.check()

"""``hashicorp/cloudinit``: user data of several parts in one MIME document."""

from __future__ import annotations

import base64
import gzip
import zlib
from typing import Any

from stead.api.errors import ProviderFailure
from stead.api.provider import BlockSchema, Context, DataSource, Nesting, Provider, attribute, block
from stead.api.provider.model import Model
from stead.api.records import NoSettings, ProviderSpec
from stead.terraform.standard.virtual import Virtual

BOUNDARY = "MIMEBOUNDARY"


class Part(BlockSchema):
    content: str = attribute(required=True, force_new=True)
    content_type: str | None = attribute(optional=True, force_new=True, description="text/plain by default.")
    filename: str | None = attribute(optional=True, force_new=True)
    merge_type: str | None = attribute(optional=True, force_new=True)


class _Config(Model):
    """The arguments of the data source and of the resource."""

    id: str = attribute(computed=True)
    gzip: bool = attribute(default=True, force_new=True)
    base64_encode: bool = attribute(default=True, force_new=True)
    boundary: str = attribute(default=BOUNDARY, force_new=True)
    part: list[Part] = block(Part, nesting=Nesting.LIST, min_items=1)
    rendered: str = attribute(computed=True)

    def validate(self, context: Context) -> None:
        del context
        compressed = True if self.gzip is None else self.gzip
        if compressed is True and self.base64_encode is False:
            raise ProviderFailure(
                "Compressed user data can only be handed on as base64.",
                field="base64_encode",
                remedy="Set gzip = false as well, or leave base64_encode out.",
            )

    def render(self) -> None:
        document = rendered(self.part, self.boundary).encode()
        if self.gzip:
            document = gzip.compress(document, mtime=0)
        self.rendered = base64.b64encode(document).decode() if self.base64_encode else document.decode()
        self.id = str(zlib.crc32(self.rendered.encode()))


class CloudinitConfigData(_Config, DataSource, name="cloudinit_config"):
    """A MIME document of several parts."""

    def read(self, context: Context) -> None:
        self.validate(context)
        self.render()


class CloudinitConfig(_Config, Virtual, name="cloudinit_config"):
    """A MIME document of several parts, kept in the state."""

    def create(self, context: Context) -> None:
        self.validate(context)
        self.render()


class Cloudinit(
    Provider,
    address="hashicorp/cloudinit",
    resources=[CloudinitConfig],
    data_sources=[CloudinitConfigData],
):
    """User data for cloud-init."""


def cloudinit_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/cloudinit", title="cloud-init", factory=_make)


def _make(settings: NoSettings) -> Cloudinit:
    del settings
    return Cloudinit()


def rendered(parts: list[Part], boundary: str) -> str:
    """The document in plain text. RFC 2046, with the line ends that it asks for."""
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\nMIME-Version: 1.0\r\n\r\n'
    bodies = "\r\n".join(f"--{boundary}\r\n{_headers(part)}\r\n{part.content}" for part in parts)
    return f"{head}{bodies}\r\n--{boundary}--\r\n"


def _headers(part: Part) -> str:
    headers: list[tuple[str, Any]] = [
        ("Content-Disposition", f'attachment; filename="{part.filename}"' if part.filename else None),
        ("Content-Transfer-Encoding", "7bit"),
        ("Content-Type", part.content_type or "text/plain"),
        ("Mime-Version", "1.0"),
        ("X-Merge-Type", part.merge_type),
    ]
    return "".join(f"{name}: {value}\r\n" for name, value in headers if value)

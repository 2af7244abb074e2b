"""A provider that no plugin serves, as anyone ships it, and the mirror that it comes from."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]

PACKED = """
terraform {
  required_providers {
    packed = {
      source  = "example/packed"
      version = "~> 1.0"
    }
  }
}
resource "packed_box" "a" {
  content = "apples"
}
output "box" {
  value = packed_box.a.label
}
"""

# An executable that speaks the plugin protocol.
_PROVIDER = f"""#!{sys.executable}
from tf import runner, schema, types
from tf.iface import Provider, Resource


class Box(Resource):
    def __init__(self, provider):
        pass

    @classmethod
    def get_name(cls):
        return "box"

    @classmethod
    def get_schema(cls):
        return schema.Schema(
            attributes=[
                schema.Attribute("content", types.String(), required=True),
                schema.Attribute("label", types.String(), computed=True),
                schema.Attribute("made_by", types.String(), computed=True),
            ]
        )

    def create(self, context, planned):
        return {{**planned, "label": "box of " + planned["content"], "made_by": "VERSION"}}

    def read(self, context, current):
        return current

    def update(self, context, current, planned):
        return planned

    def delete(self, context, current):
        return None


class Packed(Provider):
    def get_model_prefix(self):
        return "packed_"

    def get_provider_schema(self, diagnostics):
        return schema.Schema(attributes=[])

    def full_name(self):
        return "registry.terraform.io/example/packed"

    def validate_config(self, diagnostics, config):
        pass

    def configure_provider(self, diagnostics, config):
        pass

    def get_data_sources(self):
        return []

    def get_resources(self):
        return [Box]


if __name__ == "__main__":
    runner.run_provider(Packed())
"""


def put_into_mirror(folder: Path, version: str) -> Path:
    """Add a version of the provider to a filesystem mirror; returns the mirror's folder."""
    place = folder / f"registry.terraform.io/example/packed/{version}/linux_{ARCH}"
    executable(place / f"terraform-provider-packed_v{version}", _PROVIDER.replace("VERSION", version))
    return folder


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path

"""The settings of Stead as one typed object."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stead.config.groups import (
    AgentSettings,
    DatabaseSettings,
    IdentitySettings,
    ObservabilitySettings,
    PluginsSettings,
    PoliciesSettings,
    ProvisionerSettings,
    SecuritySettings,
    ServerSettings,
    TunnelSettings,
)
from stead.config.types import split_address

GROUPS = (
    ServerSettings,
    DatabaseSettings,
    SecuritySettings,
    ProvisionerSettings,
    TunnelSettings,
    AgentSettings,
    ObservabilitySettings,
)


class Settings(
    ServerSettings,
    DatabaseSettings,
    SecuritySettings,
    ProvisionerSettings,
    TunnelSettings,
    AgentSettings,
    ObservabilitySettings,
    BaseSettings,
):
    """All settings. Made by :func:`stead.config.load_settings`; in tests by ``Settings(data_dir=...)``."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=False)

    plugins: PluginsSettings = Field(default_factory=PluginsSettings, description="Plugins and their settings.")
    identity: IdentitySettings = Field(
        default_factory=IdentitySettings, description="Identity providers and their settings."
    )
    policies: PoliciesSettings = Field(default_factory=PoliciesSettings, description="Policies and their settings.")

    _provenance: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: the loader reads file, environment and flags itself, to know where each came from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _derive(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file belong together: set both or none")
        if not self.access_url:
            object.__setattr__(self, "access_url", self._default_access_url())
        elif not self.access_url.startswith(("http://", "https://")):
            raise ValueError("access_url must start with http:// or https://")
        object.__setattr__(self, "access_url", self.access_url.rstrip("/"))
        return self

    def _default_access_url(self) -> str:
        host, port = split_address(self.http_address)
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert_file else 'http'}://{shown}:{port}"

    def with_http_address(self, address: str) -> Settings:
        """A copy that serves on ``address``; an access URL that was made from the old address follows."""
        derived = self.access_url == self._default_access_url()
        copy = self.model_copy(update={"http_address": address})
        if derived:
            copy = copy.model_copy(update={"access_url": copy._default_access_url()})
        return copy

    @property
    def plugin_cache(self) -> Path:
        return self.terraform_plugin_cache or self.data_dir / "plugin-cache"

    @property
    def bundle_dir(self) -> Path:
        """Folder of the agent bundles."""
        return self.agent_bundle_dir or self.data_dir / "agent"

    @property
    def provenance(self) -> dict[str, str]:
        """Where each value that is not a default came from, by setting name."""
        return dict(self._provenance)

    def remember_provenance(self, provenance: dict[str, str]) -> None:
        self._provenance.update(provenance)

    def plugin_section(self, name: str) -> dict[str, Any]:
        """The raw ``[plugins.NAME]`` table; plugins validate it with their own settings class."""
        return dict(self.plugins.sections.get(name, {}))

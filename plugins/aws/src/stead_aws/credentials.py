"""Where credentials come from: the provider block, the settings, the SDK's usual sources, and assumed roles."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.loaders import Loader, create_loader
from botocore.session import Session, get_session

from stead.api.provider import Context
from stead_aws.failures import SDK_ERRORS, translate

if TYPE_CHECKING:
    from stead_aws.provider import Aws


def proxies(http: str | None, https: str | None) -> dict[str, str] | None:
    given = {scheme: address for scheme, address in (("http", http), ("https", https)) if address}
    return given or None


@functools.cache
def _loader(data_path: str | None) -> Loader:
    """The SDK's descriptions of services, read once for all sessions: those of EC2 alone take 0.2 s of processor."""
    return create_loader(data_path)


def new_session(options: dict[str, Any] | None = None) -> Session:
    """A session of the SDK's core that shares those descriptions."""
    core = get_session(options)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return core


@dataclass
class Source:
    """Makes the SDK's session of one provider configuration."""

    provider: Aws
    context: Context
    config: Config
    sts_endpoint: str | None
    verify: Any

    def session(self) -> boto3.Session:
        """A session with the credentials of the block, else of the settings, else of the environment."""
        try:
            return self._session()
        except SDK_ERRORS as error:
            raise translate(error, "AWS cannot be used") from error

    def _session(self) -> boto3.Session:
        provider, settings = self.provider, self.provider.settings
        profile = provider.profile or (None if provider.access_key else settings.profile)
        core = new_session({"profile": (None, None, profile, None)} if profile else None)
        self._files(core)
        if profile:
            core.set_config_variable("profile", profile)
        key, secret, token = self._keys()
        if key and secret:
            core.set_credentials(key, secret, token)
        region = (
            provider.region or settings.region or core.get_config_variable("region") or os.environ.get("AWS_REGION")
        )
        for service, request in self._roles():
            core = self._assumed(core, region, service, request)
        return boto3.Session(botocore_session=core, region_name=region)

    def _files(self, core: Session) -> None:
        resolve = self.context.build.resolve
        for name, files in (
            ("config_file", self.provider.shared_config_files),
            ("credentials_file", self.provider.shared_credentials_files),
        ):
            if files:
                core.set_config_variable(name, str(resolve(files[0])))

    def _keys(self) -> tuple[str | None, str | None, str | None]:
        provider, settings = self.provider, self.provider.settings
        if provider.access_key or provider.secret_key:
            return provider.access_key, provider.secret_key, provider.token
        if provider.profile or not settings.secret_key:
            return None, None, None
        token = settings.token.get_secret_value() if settings.token else None
        return settings.access_key, settings.secret_key.get_secret_value(), token

    def _roles(self) -> list[tuple[str, dict[str, Any]]]:
        provider, settings = self.provider, self.provider.settings
        found: list[tuple[str, dict[str, Any]]] = []
        if settings.role_arn and not provider.access_key and not provider.profile:
            external = {"ExternalId": settings.external_id} if settings.external_id else {}
            found.append(("assume_role", {"RoleArn": settings.role_arn, "RoleSessionName": "stead", **external}))
        for web in provider.assume_role_with_web_identity:
            found.append(("assume_role_with_web_identity", web.request(self.context)))
        found += [("assume_role", item.request()) for item in provider.assume_role if item.role_arn]
        return found

    def _assumed(self, core: Session, region: str | None, method: str, request: dict[str, Any]) -> Session:
        client = boto3.Session(botocore_session=core, region_name=self.provider.sts_region or region).client(
            "sts", endpoint_url=self.sts_endpoint, config=self.config, verify=self.verify
        )
        fetch = _fetcher(getattr(client, method), request)
        assumed = new_session()
        assumed._credentials = RefreshableCredentials.create_from_metadata(  # type: ignore[attr-defined]
            metadata=fetch(), refresh_using=fetch, method="sts-assume-role"
        )
        return assumed


def _fetcher(call: Callable[..., Any], request: dict[str, Any]) -> Callable[[], dict[str, str]]:
    def fetch() -> dict[str, str]:
        try:
            found = call(**request)["Credentials"]
        except SDK_ERRORS as error:
            doing = f"Role {request['RoleArn']} could not be assumed"
            raise translate(error, doing, "assume_role", "sts:AssumeRole") from error
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    return fetch

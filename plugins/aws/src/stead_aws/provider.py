"""The provider ``hashicorp/aws``."""

from __future__ import annotations

import threading
from typing import Any

from botocore.config import Config

from stead.api.errors import CredentialsRejected, ProviderFailure
from stead.api.provider import BlockSchema, Context, Provider, attribute, block
from stead.api.provider.durations import is_duration, seconds
from stead_aws import credentials
from stead_aws.cloud import Cloud
from stead_aws.endpoint_names import NAMES
from stead_aws.functions import FUNCTIONS
from stead_aws.registry import DATA_SOURCES, RESOURCES
from stead_aws.settings import AwsSettings
from stead_aws.tags import Tags


class AssumeRole(BlockSchema):
    """A role to assume; several are assumed one after the other."""

    role_arn: str | None = attribute(optional=True, description="The role.")
    duration: str | None = attribute(optional=True, validators=[is_duration], description="15m to 12h.")
    external_id: str | None = attribute(optional=True, description="External id of the trust policy.")
    policy: str | None = attribute(optional=True, description="Policy (JSON) that narrows the role's.")
    policy_arns: set[str] | None = attribute(optional=True, description="Managed policies that narrow the role's.")
    session_name: str | None = attribute(optional=True, description="Name in AWS's audit log.")
    source_identity: str | None = attribute(optional=True, description="Whom the role is assumed for.")
    tags: dict[str, str] | None = attribute(optional=True, description="Session tags.")
    transitive_tag_keys: set[str] | None = attribute(optional=True, description="Session tags to pass on.")

    def request(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name or "stead",
            "DurationSeconds": round(seconds(self.duration)) if self.duration else None,
            "ExternalId": self.external_id,
            "Policy": self.policy,
            "PolicyArns": [{"arn": arn} for arn in sorted(self.policy_arns or ())] or None,
            "SourceIdentity": self.source_identity,
            "Tags": [{"Key": name, "Value": value} for name, value in (self.tags or {}).items()] or None,
            "TransitiveTagKeys": sorted(self.transitive_tag_keys or ()) or None,
        }
        return {name: value for name, value in values.items() if value is not None}


class AssumeRoleWithWebIdentity(BlockSchema):
    """A role to assume with a token of an identity provider."""

    role_arn: str | None = attribute(optional=True, description="The role.")
    duration: str | None = attribute(optional=True, validators=[is_duration], description="15m to 12h.")
    policy: str | None = attribute(optional=True, description="Policy (JSON) that narrows the role's.")
    policy_arns: set[str] | None = attribute(optional=True, description="Managed policies that narrow the role's.")
    session_name: str | None = attribute(optional=True, description="Name in AWS's audit log.")
    web_identity_token: str | None = attribute(optional=True, sensitive=True, description="The token.")
    web_identity_token_file: str | None = attribute(optional=True, description="File that holds it.")

    def request(self, context: Context) -> dict[str, Any]:
        token = self.web_identity_token
        if not token and self.web_identity_token_file:
            try:
                token = context.build.resolve(self.web_identity_token_file).read_text().strip()
            except OSError as error:
                raise CredentialsRejected(
                    f"{self.web_identity_token_file} cannot be read: {error.strerror}.",
                    field="assume_role_with_web_identity[0].web_identity_token_file",
                ) from error
        values: dict[str, Any] = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name or "stead",
            "WebIdentityToken": token,
            "DurationSeconds": round(seconds(self.duration)) if self.duration else None,
            "Policy": self.policy,
            "PolicyArns": [{"arn": arn} for arn in sorted(self.policy_arns or ())] or None,
        }
        return {name: value for name, value in values.items() if value is not None}


class DefaultTags(BlockSchema):
    """Tags that every resource of this provider gets."""

    tags: dict[str, str] | None = attribute(optional=True, description="The tags.")


class IgnoreTags(BlockSchema):
    """Tags that others set and Terraform leaves alone."""

    key_prefixes: set[str] | None = attribute(optional=True, description="Beginnings of their names.")
    keys: set[str] | None = attribute(optional=True, description="Their names.")


def _endpoints() -> type[BlockSchema]:
    fields = {name: attribute(optional=True, description=f"Address of {name}.", name=name) for name in NAMES}
    annotations = dict.fromkeys(NAMES, str)
    body = {"__annotations__": annotations, "__doc__": "Addresses of AWS's services.", "__module__": __name__, **fields}
    return type("Endpoints", (BlockSchema,), body)


Endpoints = _endpoints()


class Aws(
    Provider,
    address="hashicorp/aws",
    resources=RESOURCES,
    data_sources=DATA_SOURCES,
    functions=FUNCTIONS,
):
    """Instances, disks, security groups and roles on AWS."""

    region: str | None = attribute(optional=True, description="Region, such as eu-central-1.")
    profile: str | None = attribute(optional=True, description="Profile of the shared configuration files.")
    access_key: str | None = attribute(optional=True, description="Access key.")
    secret_key: str | None = attribute(optional=True, sensitive=True, description="Secret key.")
    token: str | None = attribute(optional=True, sensitive=True, description="Session token.")
    shared_config_files: list[str] | None = attribute(optional=True, description="In place of ~/.aws/config.")
    shared_credentials_files: list[str] | None = attribute(optional=True, description="In place of ~/.aws/credentials.")
    allowed_account_ids: set[str] | None = attribute(
        optional=True, conflicts_with=["forbidden_account_ids"], description="Only these accounts may be used."
    )
    forbidden_account_ids: set[str] | None = attribute(optional=True, description="These accounts may not be used.")
    custom_ca_bundle: str | None = attribute(optional=True, description="Certificates (PEM) to trust.")
    ec2_metadata_service_endpoint: str | None = attribute(optional=True, description="Address of the metadata service.")
    ec2_metadata_service_endpoint_mode: str | None = attribute(optional=True, description="IPv4 or IPv6.")
    http_proxy: str | None = attribute(optional=True, description="Proxy for http.")
    https_proxy: str | None = attribute(optional=True, description="Proxy for https.")
    no_proxy: str | None = attribute(optional=True, description="Hosts without proxy.")
    insecure: bool | None = attribute(optional=True, description="Do not check certificates.")
    max_retries: int | None = attribute(optional=True, description="How often a call is tried again.")
    retry_mode: str | None = attribute(optional=True, description="Accepted: tries follow Stead's own rules.")
    s3_us_east1_regional_endpoint: str | None = attribute(optional=True, description="Accepted.")
    s3_use_path_style: bool | None = attribute(optional=True, description="Accepted.")
    skip_credentials_validation: bool | None = attribute(optional=True, description="Accepted: the first call tells.")
    skip_metadata_api_check: str | None = attribute(optional=True, description="Do not ask the metadata service.")
    skip_region_validation: bool | None = attribute(optional=True, description="Accepted: any region is taken.")
    skip_requesting_account_id: bool | None = attribute(optional=True, description="Accepted: asked when needed.")
    sts_region: str | None = attribute(optional=True, description="Region of STS.")
    tag_policy_compliance: str | None = attribute(optional=True, description="Accepted.")
    token_bucket_rate_limiter_capacity: int | None = attribute(optional=True, description="Accepted.")
    use_dualstack_endpoint: bool | None = attribute(optional=True, description="Addresses with IPv6.")
    use_fips_endpoint: bool | None = attribute(optional=True, description="FIPS addresses.")
    assume_role: list[AssumeRole] = block(AssumeRole)
    assume_role_with_web_identity: list[AssumeRoleWithWebIdentity] = block(AssumeRoleWithWebIdentity, max_items=1)
    default_tags: list[DefaultTags] = block(DefaultTags, max_items=1)
    ignore_tags: list[IgnoreTags] = block(IgnoreTags, max_items=1)
    endpoints: list[Any] = block(Endpoints)

    def __init__(self, **values: Any) -> None:
        self.settings: AwsSettings = values.pop("settings", None) or AwsSettings()
        self._cloud: Cloud | None = None
        self._lock = threading.Lock()
        super().__init__(**values)

    def configure(self, context: Context) -> None:
        self._cloud = self._made(context)
        if self.allowed_account_ids or self.forbidden_account_ids:
            self._check_account(context)

    def _check_account(self, context: Context) -> None:
        account = self.cloud.identity(context)["Account"]
        refused = account in (self.forbidden_account_ids or ())
        if refused or (self.allowed_account_ids and account not in self.allowed_account_ids):
            raise ProviderFailure(
                f"The credentials are of account {account}, which this provider may not use.",
                field="forbidden_account_ids" if refused else "allowed_account_ids",
            )

    def _made(self, context: Context) -> Cloud:
        bundle = self.custom_ca_bundle or self.settings.ca_bundle
        config = Config(
            connect_timeout=min(10.0, self.settings.timeout),
            read_timeout=self.settings.timeout,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=20,
            proxies=credentials.proxies(self.http_proxy, self.https_proxy),
            use_dualstack_endpoint=self.use_dualstack_endpoint,
            use_fips_endpoint=self.use_fips_endpoint,
            user_agent_extra="stead-aws",
        )
        verify: Any = False if self.insecure else str(context.build.resolve(str(bundle))) if bundle else None
        endpoints = self._addresses()
        source = credentials.Source(self, context, config, endpoints.get("sts"), verify)
        settings = self.settings
        if self.max_retries is not None:
            settings = settings.model_copy(update={"attempts": self.max_retries + 1})
        return Cloud(source.session, settings, config, endpoints=endpoints, verify=verify)

    def _addresses(self) -> dict[str, str]:
        given = {
            name: getattr(item, name)
            for item in self.endpoints
            for name in ("ec2", "iam", "sts")
            if getattr(item, name)
        }
        return {**self.settings.endpoints, **given}

    @property
    def cloud(self) -> Cloud:
        with self._lock:
            if self._cloud is None:
                self._cloud = self._made(Context(provider=self))
            return self._cloud

    @property
    def tags_by_default(self) -> Tags:
        return {name: value for item in self.default_tags for name, value in (item.tags or {}).items()}

    def without_ignored(self, tags: Tags) -> Tags:
        keys = {key for item in self.ignore_tags for key in item.keys or ()}
        prefixes = tuple(prefix for item in self.ignore_tags for prefix in item.key_prefixes or ())
        return {name: value for name, value in tags.items() if name not in keys and not name.startswith(prefixes)}

"""Credentials that a build may use: ``coder_external_auth`` and ``coder_secret``."""

from __future__ import annotations

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, DataSource, attribute
from stead.terraform.coder import checks
from stead.terraform.coder.records import stable_id


class ExternalAuth(DataSource, name="coder_external_auth"):
    """The owner's token for a service that the deployment knows, such as a Git host."""

    id: str = attribute(required=True, description="Names the service, as the deployment's settings do.")
    optional: bool | None = attribute(optional=True, description="Build also for those who did not sign in there.")
    access_token: str = attribute(computed=True, sensitive=True)

    def read(self, context: Context) -> None:
        self.access_token = context.build.external_auth.get(self.id, "")
        if not self.access_token and not self.optional and _starts(context):
            raise ProviderFailure(
                f"The template needs your account at {self.id!r}, and you have not connected it.",
                field="id",
                remedy="Connect it in your account's settings, then start the workspace again.",
            )


class Secret(DataSource, name="coder_secret"):
    """A secret of the owner, which the workspace gets as a variable or as a file."""

    id: str = attribute(computed=True)
    env: str | None = attribute(optional=True, validators=[checks.env_name], exactly_one_of=["file"])
    file: str | None = attribute(optional=True, validators=[checks.home_or_absolute_path], exactly_one_of=["env"])
    help_message: str = attribute(required=True, description="Tells the owner how to get the secret.")
    value: str = attribute(computed=True, sensitive=True)

    def read(self, context: Context) -> None:
        key = f"env:{self.env}" if self.env else f"file:{self.file}"
        self.id = stable_id(context.build, "secret", key)
        self.value = context.build.secrets.get(key, "")
        if key not in context.build.secrets and _starts(context):
            raise ProviderFailure(
                f"The template needs a secret of yours for {self.env or self.file}, and there is none.",
                field="env" if self.env else "file",
                remedy=self.help_message,
            )


def _starts(context: Context) -> bool:
    """Only a start needs credentials: an import has no owner, and stop and delete must always be possible."""
    return context.build.transition == "start" and not context.build.importing

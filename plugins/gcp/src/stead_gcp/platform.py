"""Google Cloud as a place where workspaces run: do the credentials work, what in the project is ours, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stead.api import CredentialsReport, OwnedResource, Platform, Price, Trial
from stead.api.errors import ProviderFailure
from stead.api.provider import BuildContext, Context
from stead_gcp import labels as labelling
from stead_gcp import prices
from stead_gcp.base import Found
from stead_gcp.calls import permissions
from stead_gcp.failures import PERMISSION
from stead_gcp.links import name_of, relative
from stead_gcp.provider import Google
from stead_gcp.settings import GcpSettings

# Instances first: what they use cannot go before them.
LISTS = (
    ("google_compute_instance", "instances.aggregatedList"),
    ("google_compute_disk", "disks.aggregatedList"),
    ("google_compute_address", "addresses.aggregatedList"),
)
FIREWALL = "google_compute_firewall"
AT_ONCE = 100  # permissions that the API checks in one request


class GcpPlatform(Platform):
    """The project that the settings name."""

    def __init__(self, settings: GcpSettings) -> None:
        self._settings = settings
        self._provider = Google(settings=settings)

    def _context(self) -> Context:
        return Context(provider=self._provider, build=BuildContext())

    def check_credentials(self) -> CredentialsReport:
        try:
            project = self._provider.need_project()
            lacking = self._lacking(project)
            if not lacking:
                self._provider.cloud.ask(
                    self._context(), f"Project {project} could not be read", "projects.get", project=project
                )
        except ProviderFailure as failure:
            return CredentialsReport(False, failure.message, tuple(filter(None, [failure.remedy])))
        if lacking:
            remedies = tuple(f"The credentials lack {name}." for name in lacking)
            return CredentialsReport(False, f"The credentials may not do all in {project}.", (*remedies, PERMISSION))
        return CredentialsReport(True, f"The credentials work in project {project}.")

    def _lacking(self, project: str) -> list[str]:
        """Which of the permissions that the plugin needs the credentials do not have."""
        wanted, granted = list(permissions()), set()
        url = f"{self._settings.resource_manager_endpoint}/v3/projects/{project}:testIamPermissions"
        for start in range(0, len(wanted), AT_ONCE):
            body = {"permissions": wanted[start : start + AT_ONCE]}
            answer = self._provider.cloud.rest(
                self._context(), "The permissions could not be tested", "POST", url, body
            )
            granted.update(answer.get("permissions", ()))
        return [name for name in wanted if name not in granted]

    def trial(self) -> Trial:
        raise ProviderFailure(
            "Google Cloud cannot be tried on this machine: machines there cost money and must reach the server.",
            remedy="Set project, zone and credentials in [plugins.gcp], and an access URL that machines there reach.",
        )

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        """One thing for each key: a boot disk has its instance's, goes with it, and is listed when that is gone."""
        found: dict[str, OwnedResource] = {}
        for item in self._owned(deployment):
            found.setdefault(item.key, item)
        return tuple(found.values())

    def _owned(self, deployment: str) -> Iterator[OwnedResource]:
        project, wanted = self._provider.need_project(), labelling.value(deployment)
        listed = f'labels.{labelling.DEPLOYMENT}="{wanted}"'
        for type_name, call in LISTS:
            doing = f"What is owned ({type_name}) could not be listed"
            for item in self._provider.cloud.items(self._context(), doing, call, project=project, filter=listed):
                yield from _owned(type_name, item, item.get("labels") or {}, deployment)
        doing = "Firewall rules could not be listed"
        for item in self._provider.cloud.items(self._context(), doing, "firewalls.list", project=project):
            labels = labelling.of_description(item.get("description"))[1]
            yield from _owned(FIREWALL, item, labels, deployment)

    def destroy_owned(self, resource: OwnedResource) -> None:
        kinds = {kind.type_name: kind for kind in Google.resources}
        if resource.type_name not in kinds:
            raise ProviderFailure(f"{resource.type_name} is nothing that Google Cloud has.")
        context = self._context()
        found = kinds[resource.type_name].import_(context, resource.identity)
        if found is not None:
            found.delete(context)

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        return prices.bundled().price(type_name, attributes)


def _owned(type_name: str, item: Found, labels: Mapping[str, str], deployment: str) -> Iterator[OwnedResource]:
    """What bears the label of this deployment; the filter of the listing is not to be trusted alone."""
    if labels.get(labelling.DEPLOYMENT) == labelling.value(deployment) and labels.get(labelling.KEY):
        identity = relative(item.get("selfLink", "")) or name_of(item.get("name"))
        yield OwnedResource(labels[labelling.KEY], type_name, identity, deployment, dict(labels))

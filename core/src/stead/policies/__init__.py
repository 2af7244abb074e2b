"""The policies that ship with Stead, registered through the same hook as anyone's. None judges until it is enabled."""

from __future__ import annotations

from stead.api.policies import PolicySpec
from stead.policies.cost import HourlyCost, HourlyCostSettings
from stead.policies.images import AllowedImages, AllowedImagesSettings
from stead.policies.limit import WorkspaceLimit, WorkspaceLimitSettings
from stead.policies.resources import AllowedResources, AllowedResourcesSettings


def builtin_policies() -> list[PolicySpec]:
    return [
        PolicySpec("allowed-images", "Images that workspaces may run", AllowedImages, AllowedImagesSettings),
        PolicySpec("allowed-resources", "Resources that templates may use", AllowedResources, AllowedResourcesSettings),
        PolicySpec("hourly-cost", "The most that a workspace may cost", HourlyCost, HourlyCostSettings),
        PolicySpec("workspace-limit", "How many workspaces a person may have", WorkspaceLimit, WorkspaceLimitSettings),
    ]

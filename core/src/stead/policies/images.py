"""``allowed-images``: which images containers and machines may be made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from stead.api.policies import WITHHELD, BuildRequest, Finding, Plan, Policy, deny
from stead.policies.matching import matches

POD = ("spec.container.image", "spec.init_container.image")

# Where each resource type names its image.
ATTRIBUTES: dict[str, list[str]] = {
    "docker_image": ["name"],
    "docker_container": ["image"],
    "kubernetes_*": [*POD, *(f"spec.template.{path}" for path in POD)],
    "aws_instance": ["ami"],
    "aws_spot_instance_request": ["ami"],
    "google_compute_disk": ["image"],
    "google_compute_instance": ["boot_disk.initialize_params.image"],
    "azurerm_linux_virtual_machine": ["source_image_id", "source_image_reference.publisher"],
}


class AllowedImagesSettings(BaseModel, extra="forbid"):
    """Resource types that ``attributes`` does not name are not looked at."""

    images: list[str] = Field(
        min_length=1, description="Images as templates write them; * is any text.", examples=["ghcr.io/example/*"]
    )
    attributes: dict[str, list[str]] = Field(
        default=ATTRIBUTES, description="Resource types, each with the paths of the attributes that name an image."
    )
    unknown: list[str] = Field(
        default=["docker_container.image"],
        description="Attributes (TYPE.PATH) that may be known only after the apply, as what they come from is judged.",
    )


class AllowedImages(Policy):
    def __init__(self, settings: AllowedImagesSettings) -> None:
        self._settings = settings

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        del request
        # What a container gets from an image of the same plan, such as its id, is judged by the name of that image.
        judged = {str(value) for image in plan.of_type("docker_image") for value in image.attributes.values()}
        for pattern, paths in self._settings.attributes.items():
            for resource in plan.of_type(pattern):
                for path in paths:
                    may_wait = matches(f"{resource.type}.{path}", self._settings.unknown)
                    own = judged if resource.type == "docker_container" else set()
                    for where, image in resource.values(path):
                        if not (image is WITHHELD and may_wait) and str(image) not in own:
                            yield from self._judge(where, image)

    def _judge(self, where: str, image: Any) -> Iterator[Finding]:
        if image is WITHHELD:
            yield deny(
                "Which image this will be is not known before it is there.",
                where=where,
                remedy="Name the image in the template or in a parameter.",
            )
        elif not matches(str(image), self._settings.images):
            yield deny(
                f"The image {image} is not allowed.",
                where=where,
                remedy=f"Choose one of these: {', '.join(self._settings.images)}.",
            )

"""Images as templates name them: by link, by name, by family, with or without a project."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ResourceNotFound
from stead.api.provider import Context
from stead_gcp.cloud import Found, cloud_of
from stead_gcp.links import name_of, relative

# Public images may be named without their project.
PUBLIC = {
    "centos": "centos-cloud",
    "cos": "cos-cloud",
    "debian": "debian-cloud",
    "fedora-coreos": "fedora-coreos-cloud",
    "opensuse": "opensuse-cloud",
    "rhel": "rhel-cloud",
    "rocky-linux": "rocky-linux-cloud",
    "sles": "suse-cloud",
    "ubuntu": "ubuntu-os-cloud",
    "windows": "windows-cloud",
    "windows-sql": "windows-sql-cloud",
}


def resolve(context: Context, text: str, project: str, field: str) -> str:
    """The link of what a template calls an image; a family stays one, so that Google Cloud takes its newest."""
    path = relative(text)
    if path.startswith("projects/"):
        return path
    if path.startswith("global/"):
        return f"projects/{project}/{path}"
    if path.startswith("family/"):
        return f"projects/{project}/global/images/{path}"
    owner, _, name = path.rpartition("/")
    for candidate in [owner] if owner else _owners(name, project):
        found = _in_project(context, candidate, name)
        if found:
            return found
    raise ResourceNotFound(
        f"There is no image and no family of images {text}.",
        field=field,
        remedy="Name it with its project (debian-cloud/debian-12); gcloud compute images list shows what there is.",
    )


def _owners(name: str, project: str) -> list[str]:
    matching = sorted((prefix for prefix in PUBLIC if name.startswith(prefix)), key=len, reverse=True)
    return [project, *(PUBLIC[prefix] for prefix in matching[:1])]


def _in_project(context: Context, project: str, name: str) -> str | None:
    cloud = cloud_of(context)
    doing = f"Image {project}/{name} could not be read"
    if cloud.find(context, doing, "images.get", project=project, image=name):
        return f"projects/{project}/global/images/{name}"
    if cloud.find(context, doing, "images.getFromFamily", project=project, family=name):
        return f"projects/{project}/global/images/family/{name}"
    return None


def same_image(one: Any, other: Any) -> bool:
    """Whether a template's image and the one that a disk was made of can be the same: families change."""
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    first, second = relative(one), relative(other)
    return first == second or name_of(first) in name_of(second) or name_of(second) in name_of(first)


def encryption_key(key: Any) -> Found | None:
    """A customer's key as the API takes it."""
    if key is None:
        return None
    names = {
        "raw_key": "rawKey",
        "rsa_encrypted_key": "rsaEncryptedKey",
        "kms_key_self_link": "kmsKeyName",
        "kms_key_service_account": "kmsKeyServiceAccount",
    }
    body = {wire: value for name, wire in names.items() if (value := getattr(key, name, None))}
    return body or None

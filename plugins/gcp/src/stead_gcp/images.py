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
LONG_TERM = "lts"  # stands in names of families alone


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
    """Whether two forms name one image: a family, or a name, also stands for the image that was taken for it."""
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    first, second = relative(one), relative(other)
    if first == second:
        return True
    owners = {owner for owner in (_owner(first), _owner(second)) if owner}
    if len(owners) > 1:
        return False
    taken = [_is_taken(text) for text in (first, second)]
    if taken[0] == taken[1]:
        return not taken[0] and name_of(first) == name_of(second)
    image, wanted = (first, second) if taken[0] else (second, first)
    return _fits(name_of(image), name_of(wanted))


def _owner(path: str) -> str:
    """The project that a form names; empty where it names none."""
    if path.startswith("projects/"):
        return path.split("/")[1]
    return "" if path.startswith(("global/", "family/")) else path.rpartition("/")[0]


def _is_taken(path: str) -> bool:
    """Whether it is an image as a disk tells it, and no family or short name."""
    return "/images/" in path and "/images/family/" not in path


def _fits(image: str, wanted: str) -> bool:
    """Whether the image can be of this family: ubuntu-2404-noble-amd64-v20260101 is of ubuntu-2404-lts-amd64."""
    words = iter(image.split("-"))
    return all(word in words for word in wanted.split("-") if word != LONG_TERM)


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

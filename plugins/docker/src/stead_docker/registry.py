"""What a registry has under a name.

The engine asks (``GET /distribution/NAME/json``), so that its proxies, mirrors and insecure registries count.
Only where the registry's certificate is not to be checked, the question goes there directly.
"""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import urlsplit

import requests
from docker.auth import resolve_repository_name

from stead.api.errors import CredentialsRejected, ProviderFailure, ResourceNotFound
from stead.api.provider import Context
from stead_docker.engine import engine_of
from stead_docker.failures import translated
from stead_docker.pulling import split

MANIFESTS = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
TIMEOUT = (10.0, 30.0)  # seconds: to connect, to answer
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def manifest_digest(context: Context, name: str, *, verify: bool = True) -> str:
    """``sha256:…`` of the manifest that the registry has under ``name``."""
    if not verify:
        return _ask_registry(context, name)
    engine = engine_of(context)
    doing = f"The registry could not be asked for {name}"
    found = engine.ask(context, doing, lambda c: c.inspect_distribution(name), field="name")
    return str(found["Descriptor"]["digest"])


def _ask_registry(context: Context, name: str) -> str:
    repository, tag = split(name)
    registry, path = resolve_repository_name(repository)
    credential = engine_of(context).client._auth_configs.resolve_authconfig(registry) or {}
    url = f"https://{registry}/v2/{path}/manifests/{tag}"
    with translated(f"Registry {registry} could not be asked", "name"), requests.Session() as session:
        session.verify = False
        answer = _authenticated(session, url, credential)
    if answer.status_code == 404:
        raise ResourceNotFound(f"Registry {registry} has no image {path}:{tag}.", field="name")
    if answer.status_code in (401, 403):
        raise CredentialsRejected(
            f"Registry {registry} does not let us see {path}.", field="name", remedy="Give registry_auth."
        )
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not digest:
        raise ProviderFailure(f"Registry {registry} answered {answer.status_code} without a digest.", field="name")
    return digest


def _authenticated(session: requests.Session, url: str, credential: dict[str, Any]) -> requests.Response:
    """Ask, and once more with a token where the registry wants one (distribution's token authentication)."""
    headers = {"Accept": ", ".join(MANIFESTS)}
    answer = session.head(url, headers=headers, timeout=TIMEOUT)
    scheme, _, parameters = answer.headers.get("WWW-Authenticate", "").partition(" ")
    if answer.status_code != 401 or not scheme:
        return answer
    basic = (credential["username"], credential["password"]) if credential.get("username") else None
    if scheme.lower() == "basic":
        return session.head(url, headers=headers, auth=basic, timeout=TIMEOUT)
    challenge = dict(CHALLENGE.findall(parameters))
    realm = challenge.pop("realm", "")
    if urlsplit(realm).scheme != "https":
        return answer
    token = session.get(realm, params=challenge, auth=basic, timeout=TIMEOUT)
    bearer = token.json().get("token") or token.json().get("access_token") if token.ok else ""
    return session.head(url, headers={**headers, "Authorization": f"Bearer {bearer}"}, timeout=TIMEOUT)


def decoded(auth: str) -> dict[str, str]:
    """User and password from the ``auth`` of a Docker configuration file."""
    user, _, password = base64.b64decode(auth).decode().partition(":")
    return {"username": user, "password": password}

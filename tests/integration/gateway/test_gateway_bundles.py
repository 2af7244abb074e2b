"""The files under ``/bin/``, as curl, wget and busybox ask for them."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

NAME = "stead-agent-1.0-linux-amd64.tar.gz"


@pytest.fixture
def client(site: Any) -> httpx.Client:
    return httpx.Client(base_url=f"{site.deployment.url}/bin")


def test_the_manifest_names_the_bundles(client: httpx.Client) -> None:
    answer = client.get("/manifest.json")
    assert answer.json()["bundles"]["linux-amd64"]["path"] == f"/bin/{NAME}"
    assert answer.headers["cache-control"] == "no-cache"


def test_a_bundle_is_immutable_and_has_its_digest(client: httpx.Client, small_bundle: Path) -> None:
    answer = client.get(f"/{NAME}")
    digest = hashlib.sha256((small_bundle / NAME).read_bytes()).hexdigest()
    assert hashlib.sha256(answer.content).hexdigest() == digest
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["x-content-sha256"] == digest
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(f"/{NAME}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_download_can_be_continued(client: httpx.Client, small_bundle: Path) -> None:
    whole = (small_bundle / NAME).read_bytes()
    part = client.get(f"/{NAME}", headers={"Range": "bytes=100-"})
    assert (part.status_code, part.content) == (206, whole[100:])
    assert part.headers["content-range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert client.get(f"/{NAME}", headers={"Range": "bytes=999999-"}).status_code == 416
    changed = client.get(f"/{NAME}", headers={"Range": "bytes=100-", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole)


def test_the_bootstrap_script_has_the_access_url_and_no_other_substitution(client: httpx.Client, site: Any) -> None:
    answer = client.get("/bootstrap/linux-amd64.sh")
    assert f'BASE="{site.deployment.url}"' in answer.text
    assert 'echo "${OTHER}"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/unknown.tar.gz",
        "/%2e%2e/outside.tar.gz",
        "/..%2foutside.tar.gz",
        "/bootstrap/%2e%2e%2fmanifest.json",
        "/bootstrap/linux-mips.sh",
        "/bootstrap",
        "/" + "x" * 300 + ".tar.gz",
    ],
)
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_it_is_not_compressed_twice(client: httpx.Client) -> None:
    answer = client.get(f"/{NAME}", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(answer.content)

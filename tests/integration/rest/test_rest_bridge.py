"""Requests through the ASGI bridge that serves the application: bodies in chunks, raw paths."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from a2wsgi import WSGIMiddleware

from stead.testing.waiting import eventually, find_free_port


@pytest.fixture
def http(world: Any) -> Iterator[httpx.Client]:
    port = find_free_port()
    config = uvicorn.Config(WSGIMiddleware(world.app), port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started, 20, what="uvicorn")
    headers = {"Authorization": f"Bearer {world.tokens['owner']}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v2", headers=headers, timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join(20)


def _chunks(content: bytes, size: int = 65536) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def test_a_body_in_chunks_is_read(http: httpx.Client) -> None:
    answer = http.post(
        "/users/me/tokens", content=_chunks(b'{"name": "chunky"}', 3), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"]["name"] == "chunky"


def test_a_body_in_chunks_is_bounded(http: httpx.Client) -> None:
    content = b'{"name": "' + b"x" * (2 * 1024 * 1024) + b'"}'
    answer = http.post("/users/me/tokens", content=_chunks(content), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_request_without_a_body_does_not_wait_for_one(http: httpx.Client, world: Any) -> None:
    assert http.post(f"/builds/{world.build.id}/cancel").status_code == 200


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_beyond_its_bound_is_refused(http: httpx.Client, world: Any, announced: bool) -> None:
    size = world.core.settings.max_archive_bytes + 1024 * 1024
    head = b'--b\r\nContent-Disposition: form-data; name="archive"; filename="t"\r\n\r\n'
    content = head + b"\0" * size + b"\r\n--b--\r\n"
    answer = http.post(
        "/template-versions",
        content=content if announced else _chunks(content),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 413, answer.text


@pytest.mark.parametrize("ref", ["member%2Fdev", "member%2fdev"])
def test_an_escaped_slash_stays_part_of_the_name(http: httpx.Client, world: Any, ref: str) -> None:
    assert http.get(f"/workspaces/{ref}").json()["id"] == world.workspace.id
    assert http.get(f"/workspaces/{ref}/builds?limit=1").json()["total"] == 1
    assert http.get("/workspaces/member/dev").status_code == 404

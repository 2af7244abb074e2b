"""What clients send: every refusal names the field and changes nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from stead.services import templates
from stead.web.app import create_app


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"usrname": "x"}, "usrname", "Did you mean username?"),
        ({"completely": "x"}, "completely", "Known fields: email"),
        ({"username": "x", "password": "y"}, "email", "is missing"),
        ({"username": 7, "email": "a@b.c", "password": "y"}, "username", "valid string"),
        ({"username": "x" * 200, "email": "a@b.c", "password": "y"}, "username", "at most 128"),
        ({"username": "x", "email": "a@b.c", "password": "y", "roles": ["king"]}, "roles.0", "owner"),
    ],
)
def test_a_bad_body_names_the_field(world: Any, body: dict[str, Any], field: str, words: str) -> None:
    answer = world.call("owner", "POST", "/users", json=body)
    assert answer.status_code == 400
    error = answer.json["error"]
    assert error["reason"] == "invalid_input"
    assert error["field"] == field
    assert words in f"{error['message']} {error['remedy']}"


@pytest.mark.parametrize(
    ("data", "content_type", "words"),
    [
        ("{not json", "application/json", "not JSON"),
        ("[1]", "application/json", "not an object"),
        ("[" * 100000, "application/json", "not JSON"),
        ("a=b", "text/plain", "takes JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(world: Any, data: str, content_type: str, words: str) -> None:
    answer = world.call("owner", "POST", "/users", data=data, content_type=content_type)
    assert answer.status_code == 400
    assert words in answer.json["error"]["message"]


def test_a_body_beyond_its_bound_is_refused(world: Any) -> None:
    body = {"username": "x", "email": "a@b.c", "password": "y" * 2 * 1024 * 1024}
    answer = world.call("owner", "POST", "/users", json=body)
    assert answer.status_code == 413
    assert answer.json["error"]["reason"] == "too_large"
    assert "at most 1048576 bytes" in answer.json["error"]["message"]


def test_a_service_names_the_field_too(world: Any) -> None:
    body = {"username": "member", "email": "n@example.com", "password": "correct horse 3"}
    answer = world.call("owner", "POST", "/users", json=body)
    assert answer.status_code == 409
    assert answer.json["error"]["field"] == "username"


@pytest.mark.parametrize("query", ["limit=0", "limit=100000", "offset=-1", "limit=x", "status=unheard", "limt=3"])
def test_a_bad_query_names_the_parameter(world: Any, query: str) -> None:
    answer = world.call("member", "GET", f"/workspaces?{query}")
    assert answer.status_code == 400
    assert answer.json["error"]["field"] == query.partition("=")[0]


def test_lists_are_pages(world: Any) -> None:
    first = world.call("owner", "GET", "/users?limit=2").json
    second = world.call("owner", "GET", "/users?limit=2&offset=2").json
    assert first["total"] == second["total"] == 7
    assert len(first["items"]) == len(second["items"]) == 2
    assert not {user["id"] for user in first["items"]} & {user["id"] for user in second["items"]}
    found = world.call("owner", "GET", "/users?q=auditor").json
    assert [user["username"] for user in found["items"]] == ["auditor"]


def test_workspaces_are_found_by_owner_and_name(world: Any) -> None:
    by_id = world.call("member", "GET", f"/workspaces/{world.workspace.id}").json
    assert world.call("owner", "GET", "/workspaces/member%2Fdev").json["id"] == by_id["id"]
    assert world.call("member", "GET", "/workspaces/me%2fdev").json["id"] == by_id["id"]
    assert world.call("member", "GET", "/workspaces/dev").json["id"] == by_id["id"]
    builds = world.call("owner", "GET", "/workspaces/member%2Fdev/builds").json
    assert builds["items"][0]["id"] == by_id["latest_build"]["id"]


def test_an_upload_becomes_exactly_the_archive_that_was_sent(world: Any) -> None:
    content = world.archive
    data = {"archive": (io.BytesIO(content), "t.tar.gz"), "name": "v7", "variables": '{"region": "eu"}'}
    version = world.call("owner", "POST", "/template-versions", data=data)
    assert version.status_code == 201, version.text
    path = f"/template-versions/{version.json['id']}/archive"
    assert world.call("owner", "GET", path).data == content


def test_an_upload_leaves_no_file_behind(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    seen: list[str] = []
    create = templates.create_version

    def watched(core: Any, actor: Any, archive: Path, **options: Any) -> Any:
        seen.extend(path.name for path in (tmp_path / "uploads").iterdir())
        return create(core, actor, archive, **options)

    monkeypatch.setattr(templates, "create_version", watched)
    data = {"archive": (io.BytesIO(world.archive), "t.tar.gz")}
    assert world.call("owner", "POST", "/template-versions", data=data).status_code == 201
    assert len(seen) == 1
    assert not list((tmp_path / "uploads").iterdir())


def test_an_upload_beyond_its_bound_is_refused(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = world.core.settings.max_request_bytes
    data = {"archive": (io.BytesIO(b"\0" * (bound + 1024 * 1024)), "t.tar.gz")}
    answer = world.call("owner", "POST", "/template-versions", data=data)
    assert answer.status_code == 413
    assert answer.json["error"]["reason"] == "too_large"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": "v2"}, "archive"),
        ({"archive": (io.BytesIO(b"x"), "a"), "other": (io.BytesIO(b"x"), "b")}, "archive"),
        ({"archive": (io.BytesIO(b"x"), "a"), "nmae": "v2"}, "nmae"),
        ({"archive": (io.BytesIO(b"x"), "a"), "variables": "{"}, "variables"),
        ({"archive": (io.BytesIO(b""), "a")}, "archive"),
    ],
)
def test_a_bad_upload_names_the_part(world: Any, data: dict[str, Any], field: str) -> None:
    answer = world.call("owner", "POST", "/template-versions", data=data, content_type="multipart/form-data")
    assert answer.status_code == 400, answer.text
    assert answer.json["error"]["field"] == field


@pytest.mark.parametrize("how", ["json", "data"])
def test_a_starter_is_imported_by_its_name(world: Any, how: str) -> None:
    answer = world.call("owner", "POST", "/template-versions", **{how: {"starter": "docker/docker", "name": "s1"}})
    assert answer.status_code == 201, answer.text
    assert answer.json["name"] == "s1"
    assert answer.json["job"]["status"] == "pending"


def test_an_unknown_starter_is_not_found(world: Any) -> None:
    answer = world.call("owner", "POST", "/template-versions", json={"starter": "docker/nothing"})
    assert answer.status_code == 404
    assert "docker/docker" in answer.json["error"]["remedy"]


def test_a_wrong_method_is_told_which_ones_there_are(world: Any) -> None:
    answer = world.client().delete("/api/v2/buildinfo")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_the_first_owner_is_created_once(empty: Any) -> None:
    client = create_app(empty).test_client()
    body = {"username": "boss", "email": "boss@example.com", "password": "correct horse 4", "name": "The Boss"}
    assert client.get("/api/v2/buildinfo").json["first_run"] is True
    created = client.post("/api/v2/users/first", json=body)
    assert created.status_code == 201
    assert created.json["roles"] == ["owner"]
    assert client.get("/api/v2/buildinfo").json["first_run"] is False
    assert client.post("/api/v2/users/first", json={**body, "username": "second"}).status_code == 409


def test_no_answer_holds_a_password_or_its_hash(world: Any) -> None:
    for path in ("/users", "/users/me", "/users/me/tokens", "/audit?limit=1000"):
        text = world.call("owner", "GET", path).text
        assert world.password not in text
        assert "$argon2" not in text
        assert world.tokens["owner"] not in text

"""Templates and workspaces, built by the real engine."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stead.testing.waiting import eventually


def test_a_workspace_lives_and_dies(user: Any, template: str) -> None:
    made = user.run("create", "dev", "-t", template, "-p", "size=2", timeout=90)
    assert made.code == 0, made.err
    assert "null_resource.box" in made.err
    assert "stead ssh dev" in made.out

    shown = user.json("show", "dev")
    assert shown["status"] == "running"
    assert shown["latest_build"]["parameters"] == {"size": "2", "colour": "red"}
    assert "null_resource.box[0]" in user.ok("show", "dev").out
    assert [item["name"] for item in user.json("list")] == ["dev"]

    stored = user.ok("logs", "dev", "--build").out
    assert "null_resource.box" in stored
    followed = user.ok("logs", "dev", "--build", "--follow", "--number", "1").out
    assert followed == stored
    lines = [json.loads(line) for line in user.ok("logs", "dev", "--build", "-o", "json").out.splitlines()]
    assert [line["id"] for line in lines] == list(range(1, len(lines) + 1))

    user.ok("stop", "dev")
    assert user.json("show", "dev")["status"] == "stopped"
    user.ok("start", "dev", "-p", "colour=blue")
    assert user.json("show", "dev")["latest_build"]["parameters"]["colour"] == "blue"
    user.ok("restart", "dev")
    assert user.json("show", "dev")["latest_build"]["number"] == 5
    first = user.ok("logs", "dev", "--build", "--number", "1").out
    assert first == stored

    assert user.run("delete", "dev").code == 2
    assert user.json("show", "dev")["status"] == "running"
    user.ok("delete", "dev", "--yes")
    assert user.run("show", "dev").code == 4
    assert user.json("list") == []


def test_presets_and_defaults_fill_in(user: Any, template: str) -> None:
    made = user.json("create", "small", "-t", template, "--preset", "Small", timeout=90)
    assert made["latest_build"]["parameters"] == {"size": "1", "colour": "blue"}
    assert made["status"] == "running"
    user.ok("delete", "small", "-y")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "x", "-t", "{t}", "-p", "siez=1"], 2, "Did you mean size?"),
        (["create", "x", "-t", "{t}"], 2, "--parameter size="),
        (["create", "x", "-t", "{t}", "-p", "size"], 2, "NAME=VALUE"),
        (["create", "x", "-t", "{t}", "-p", "size=2", "-p", "colour=green"], 2, "colour"),
        (["create", "x", "-t", "{t}", "--preset", "Huge"], 2, "Small"),
        (["create", "x", "-t", "nothing"], 4, "nothing"),
        (["create", "x y", "-t", "{t}"], 2, "does not name a workspace"),
        (["show", "nothing"], 4, "nothing"),
        (["stop", "nobody/dev"], 4, "nobody/dev"),
        (["logs", "nothing", "-f"], 4, "nothing"),
        (["shwo", "x"], 2, "Did you mean show?"),
        (["create"], 2, "NAME"),
    ],
)
def test_bad_input_says_what_is_wrong_and_changes_nothing(
    user: Any, template: str, arguments: list[str], code: int, words: str
) -> None:
    result = user.run(*(word.format(t=template) for word in arguments))
    assert result.code == code, result.err
    assert words in result.err
    assert result.out == ""
    assert user.json("list") == []


def test_a_name_that_is_taken_is_a_conflict(user: Any, template: str) -> None:
    user.ok("create", "twice", "-t", template, "-p", "size=1", "--no-wait")
    result = user.run("create", "twice", "-t", template, "-p", "size=1", "--no-wait")
    assert result.code == 5
    assert "twice" in result.err


def test_others_workspaces_are_not_there(user: Any, owner: Any, template: str) -> None:
    owner.ok("create", "hidden", "-t", template, "-p", "size=1", "--no-wait")
    assert user.run("show", "owner/hidden").code == 4
    assert owner.json("show", "owner/hidden")["name"] == "hidden"


def test_a_template_goes_there_and_back(owner: Any, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "main.tf").write_text('resource "null_resource" "x" {}\n')
    (folder / "README.md").write_text("# Mine\n")
    (folder / ".terraform").mkdir()
    (folder / ".terraform" / "cache").write_text("not this")
    (folder / "terraform.tfstate").write_text("nor this")
    pushed = owner.json("templates", "push", "mine", "-d", str(folder), "--version", "one", "-m", "First", "-y")
    assert pushed["template"]["active_version_id"] == pushed["version"]["id"]

    pulled = owner.json("templates", "pull", "mine", str(tmp_path / "pulled"))
    assert sorted(pulled["files"]) == ["README.md", "main.tf"]
    assert (tmp_path / "pulled" / "main.tf").read_text() == (folder / "main.tf").read_text()
    assert owner.run("templates", "pull", "mine", str(tmp_path / "pulled")).code == 5
    owner.ok("templates", "pull", "mine", str(tmp_path / "pulled"), "--yes")

    owner.ok("templates", "push", "mine", "-d", str(folder), "--version", "two", "--no-activate")
    assert [version["name"] for version in owner.json("templates", "versions", "mine")] == ["two", "one"]
    assert "mine" in [item["name"] for item in owner.json("templates", "list")]
    promoted = owner.json("templates", "promote", "mine", "two")
    assert promoted["active_version_id"] != pushed["version"]["id"]
    assert owner.run("templates", "promote", "mine", "three").code == 4
    owner.ok("templates", "delete", "mine", "--yes")
    assert owner.run("templates", "versions", "mine").code == 4


def test_a_template_that_is_wrong_says_where(owner: Any, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('resource "null_resource" {\n')
    result = owner.run("templates", "push", "broken", "-d", str(tmp_path), "--yes")
    assert result.code == 2, result.err
    assert "main.tf" in result.err
    assert owner.run("templates", "versions", "broken").code == 4


def test_a_name_that_no_template_can_have_is_refused_before_the_import(owner: Any, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("locals {}\n")
    result = owner.run("templates", "push", "bad name", "-d", str(tmp_path), "--yes")
    assert result.code == 2
    assert "bad name" in result.err
    assert "Import" not in result.err + result.out


def test_a_folder_without_terraform_is_not_uploaded(owner: Any, tmp_path: Path) -> None:
    result = owner.run("templates", "push", "empty", "-d", str(tmp_path), "--yes")
    assert result.code == 2
    assert "no Terraform file" in result.err


def test_a_starter_becomes_a_folder(owner: Any, tmp_path: Path) -> None:
    starters = [item["id"] for item in owner.json("templates", "init", "--list")]
    assert "docker/docker" in starters
    owner.ok("templates", "init", str(tmp_path / "new"), "--starter", "docker/docker")
    assert (tmp_path / "new" / "main.tf").is_file()
    result = owner.run("templates", "init", str(tmp_path / "x"), "--starter", "docker/dcoker")
    assert result.code == 4
    assert "docker/docker" in result.err


def test_a_member_may_not_push(user: Any, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('resource "null_resource" "x" {}\n')
    assert user.run("templates", "push", "theirs", "-d", str(tmp_path), "-y").code == 3


def test_an_interrupt_ends_a_command_and_not_the_build(user: Any, template: str) -> None:
    user.ok("create", "kept", "-t", template, "-p", "size=1")
    restarting = subprocess.Popen(
        user.command("restart", "kept"),
        env=user.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert restarting.stderr is not None
    restarting.stderr.readline()
    restarting.send_signal(signal.SIGINT)
    assert restarting.wait(10) == 130
    assert "Traceback" not in restarting.stderr.read()
    restarting.stderr.close()
    if restarting.stdout is not None:
        restarting.stdout.close()
    eventually(lambda: user.json("show", "kept")["latest_build"]["job"]["status"] == "succeeded", 30, what="the build")


def test_a_log_is_followed_through_later_builds_until_the_workspace_is_gone(
    user: Any, template: str, tmp_path: Path
) -> None:
    user.ok("create", "watched", "-t", template, "-p", "size=1", timeout=90)
    printed = tmp_path / "printed"
    with printed.open("wb") as file:
        following = subprocess.Popen(user.command("logs", "-f", "watched"), env=user.environment(), stdout=file)
    try:
        eventually(lambda: "Creation complete" in printed.read_text(), 30, what="the build that was")
        assert following.poll() is None
        user.ok("restart", "watched", timeout=90)
        eventually(lambda: printed.read_text().count("Creation complete") == 2, 30, what="the restart's start")
        assert "Destruction complete" in printed.read_text()
        assert following.poll() is None
        user.ok("delete", "watched", "--yes", timeout=90)
        assert following.wait(30) == 0
        assert printed.read_text().count("Destruction complete") == 2
    finally:
        following.kill()
        following.wait()


def test_following_ends_with_an_interrupt(user: Any, template: str) -> None:
    user.ok("create", "quiet", "-t", template, "-p", "size=1", timeout=90)
    following = subprocess.Popen(
        user.command("logs", "-f", "quiet"), env=user.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert following.stdout is not None
    following.stdout.readline()
    following.send_signal(signal.SIGINT)
    _out, error = following.communicate(timeout=20)
    assert following.returncode == 130
    assert b"Traceback" not in error


def _pushed(owner: Any, folder: Path, name: str, body: str) -> str:
    folder.mkdir()
    (folder / "main.tf").write_text(body)
    owner.ok("templates", "push", name, "--directory", str(folder), "--yes", timeout=90)
    return name


SLOW = """
resource "null_resource" "slow" {
  provisioner "local-exec" {
    command = "sleep 300"
  }
}
"""


def test_a_build_is_canceled(owner: Any, user: Any, tmp_path: Path) -> None:
    template = _pushed(owner, tmp_path / "slow", "slow", SLOW)
    user.ok("create", "wrong", "-t", template, "--no-wait")
    eventually(lambda: "slow" in user.ok("logs", "wrong", "--build").out, 60, what="the build's first lines")
    busy = user.run("stop", "wrong")
    assert busy.code == 5
    assert "stead cancel" in busy.err
    canceled = user.json("cancel", "wrong")
    assert (canceled["number"], canceled["transition"], canceled["job"]["status"]) == (1, "start", "canceling")
    eventually(lambda: user.json("show", "wrong")["latest_build"]["job"]["status"] == "canceled", 60, what="the end")
    over = user.run("cancel", "wrong")
    assert over.code == 5
    assert "build 1, a start, is canceled" in over.err
    user.ok("delete", "wrong", "--yes", timeout=90)


FAILING = """
terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
data "coder_parameter" "image" {
  name    = "image"
  default = "missing"
}
resource "null_resource" "box" {
  provisioner "local-exec" {
    command = "test ${data.coder_parameter.image.value} != missing"
  }
}
"""


def test_a_workspace_that_failed_is_mended_rather_than_created_again(owner: Any, user: Any, tmp_path: Path) -> None:
    template = _pushed(owner, tmp_path / "failing", "failing", FAILING)
    first = user.run("create", "first", "-t", template, "--yes", "-p", "image=missing", timeout=90)
    assert first.code == 1
    again = user.run("create", "first", "-t", template, "--yes", "-p", "image=good", timeout=90)
    assert again.code == 5
    assert "stead start first -p image=VALUE" in again.err
    user.ok("start", "first", "-p", "image=good", timeout=90)
    taken = user.run("create", "first", "-t", template, "--yes", timeout=90)
    assert taken.code == 5
    assert "stead start" not in taken.err


def test_the_shell_completes_commands_and_names(user: Any, template: str) -> None:
    user.ok("create", "tabbed", "-t", template, "-p", "size=1", "--no-wait")

    def complete(words: str, index: int) -> list[str]:
        result = user.run(_STEAD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(index))
        return [line.partition(",")[2] for line in result.out.splitlines() if line]

    assert complete("stead templ", 1) == ["templates"]
    assert complete("stead ssh ta", 2) == ["tabbed"]
    assert complete("stead create x -t box", 4) == [template]
    assert complete("stead ssh nothing", 2) == []


def test_the_format_can_be_chosen_by_a_variable(user: Any) -> None:
    assert user.ok("list", STEAD_OUTPUT="json").json == []

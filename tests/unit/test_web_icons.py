"""Icons that templates choose, and that the sprite has every icon that is used."""

from __future__ import annotations

import re

import pytest

from stead.web import build_assets
from stead.web.pages import icons
from stead.web.pages.icons import Picture, picture


@pytest.mark.parametrize(
    ("value", "title", "shown"),
    [
        ("/icon/docker.svg", "x", Picture(icon="brand-docker")),
        ("https://elsewhere.example/icon/aws.png", "x", Picture(icon="brand-aws")),
        ("/emojis/1f4e6.png", "x", Picture(text="📦")),
        ("🧪", "lab", Picture(text="🧪")),
        ("", "My Docker box", Picture(icon="brand-docker")),
        ("/icon/unheard-of.svg", "thing", Picture(text="T")),
        ("", "", Picture(text="?")),
        ("data:image/png;base64,AA==", "x", Picture(data="data:image/png;base64,AA==")),
    ],
)
def test_every_icon_has_a_picture(value: str, title: str, shown: Picture) -> None:
    assert picture(value, title) == shown


def test_resources_have_icons() -> None:
    assert icons.of_resource("docker_container") == "container"
    assert icons.of_resource("aws_ebs_volume") == "database"
    assert icons.of_resource("null_resource") == "box"


def test_the_sprite_lists_every_icon_that_only_python_names() -> None:
    listed = set((build_assets.ASSETS / "icons" / "names.txt").read_text().splitlines())
    used = {*icons._BY_WORD.values(), *icons._BY_RESOURCE.values(), "box"}
    search = (build_assets.WEB / "pages" / "search.py").read_text()
    used |= set(re.findall(r'"/[a-z/]*", "([a-z-]+)", (?:None|\()', search))
    assert used - listed == set()

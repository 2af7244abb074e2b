"""What every launcher must do."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from stead.api.launchers import Destination, LauncherSpec
from stead.web.pages.connect import opens_elsewhere

PLAIN = Destination("dev.stead", "ada", "/home/coder/project", "dev", "main")
ODD = (
    Destination("gpu.dev.ada.stead", "ada", "/home/coder/my project", "dev", "gpu"),
    Destination("dev.stead", "ada", "/", "dev", "main"),
    Destination("dev.stead", "ada", "/home/ünïcode", "dev", "main"),
    Destination("dev.stead", "ada", '/a"onmouseover="alert(1)', "dev", "main"),
    Destination("dev.stead", "ada", "/a?b=c&d=e#f", "dev", "main"),
    Destination("dev.stead", "ada", "/a\nb", "dev", "main"),
)
REFUSED = frozenset('"<>\\^`{|} \n\t')


class LauncherConformance:
    """Inherit it as ``class TestSomething``, and set ``plugin``."""

    plugin: ClassVar[ModuleType]

    @pytest.fixture
    def launchers(self) -> list[LauncherSpec]:
        return list(self.plugin.stead_ide_launchers())

    def test_each_has_a_name_of_its_own(self, launchers: list[LauncherSpec]) -> None:
        assert launchers
        names = [launcher.name for launcher in launchers]
        assert len(set(names)) == len(names)
        assert all(launcher.title for launcher in launchers)

    def test_a_link_opens_another_program_at_the_workspace(self, launchers: list[LauncherSpec]) -> None:
        for launcher in launchers:
            link = launcher.link(PLAIN)
            if link is None:
                continue
            assert PLAIN.host in link, "it says which workspace"
            if not launcher.text:
                assert opens_elsewhere(link), f"{link} does not open another program"
                assert urlsplit(link).scheme

    @pytest.mark.parametrize("destination", ODD, ids=lambda destination: ascii(destination.folder))
    def test_every_folder_makes_one_whole_link(self, launchers: list[LauncherSpec], destination: Destination) -> None:
        for launcher in launchers:
            link = launcher.link(destination)
            if link is None or launcher.text:
                continue
            assert link.isascii(), f"{link} is not encoded"
            assert not REFUSED & set(link), f"{link} is not encoded: use quoted_host and quoted_folder"
            plain = urlsplit(launcher.link(PLAIN) or "")
            odd = urlsplit(link)
            assert bool(odd.fragment) == bool(plain.fragment), "the folder's # became a fragment"
            assert odd.query.count("&") == plain.query.count("&"), "the folder's & became another argument"

"""The launchers that ship with Stead: every one makes its link or its text."""

from __future__ import annotations

import pytest

from stead.api import Destination
from stead.api.launchers import OWN_SSH
from stead.ides import builtin_launchers
from stead.plugins import builtin
from stead.testing.conformance import LauncherConformance
from stead.web.pages.connect import ways_of

GPU = Destination("gpu.dev.ada.stead", "ada", "/home/ada/my project", "dev", "gpu")
JETBRAINS = "jetbrains://gateway/ssh/environment?h=gpu.dev.ada.stead&u=ada&p=22&launchIde=true"


class TestBuiltinLaunchers(LauncherConformance):
    plugin = builtin


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("vscode", "vscode://vscode-remote/ssh-remote+gpu.dev.ada.stead/home/ada/my%20project?windowId=_blank"),
        ("kiro", "kiro://vscode-remote/ssh-remote+gpu.dev.ada.stead/home/ada/my%20project?windowId=_blank"),
        ("jetbrains-py", f"{JETBRAINS}&ideHint=PY&projectHint=%2Fhome%2Fada%2Fmy%20project"),
        ("zed", "zed://ssh/gpu.dev.ada.stead/home/ada/my%20project"),
        ("openssh", "ssh gpu.dev.ada.stead"),
        ("scp", "scp FILE gpu.dev.ada.stead:"),
        ("tramp", "/ssh:gpu.dev.ada.stead:/home/ada/my project"),
    ],
)
def test_what_a_launcher_makes(name: str, made: str) -> None:
    launcher = next(spec for spec in builtin_launchers() if spec.name == name)
    assert launcher.link(GPU) == made


def test_they_stand_in_their_families() -> None:
    ways = ways_of(builtin_launchers(), GPU)
    assert ways[0].title == "VS Code"
    titles: dict[str, list[str]] = {}
    for way in ways:
        titles.setdefault(way.family, []).append(way.title)
    assert {family: len(names) for family, names in titles.items()} == {
        "The VS Code family": 8,
        "JetBrains": 9,
        OWN_SSH: 4,
    }
    assert titles[OWN_SSH] == ["OpenSSH", "Copy files", "Emacs TRAMP", "Zed"]

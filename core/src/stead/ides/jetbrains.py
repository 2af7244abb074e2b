"""JetBrains' IDEs, through the Toolbox app, which brings the IDE to the workspace over plain SSH."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from stead.api.launchers import Destination, LauncherSpec

FAMILY = "JetBrains"

# The product code by which Toolbox knows each IDE.
IDES = (
    ("IU", "IntelliJ IDEA"),
    ("PY", "PyCharm"),
    ("GO", "GoLand"),
    ("WS", "WebStorm"),
    ("CL", "CLion"),
    ("RR", "RustRover"),
    ("RD", "Rider"),
    ("PS", "PhpStorm"),
    ("RM", "RubyMine"),
)


def link(code: str, to: Destination) -> str:
    login = f"h={to.quoted_host}&u={to.quoted_user}&p=22"
    project = quote(to.folder, safe="")
    return f"jetbrains://gateway/ssh/environment?{login}&launchIde=true&ideHint={code}&projectHint={project}"


def jetbrains() -> list[LauncherSpec]:
    return [
        LauncherSpec(f"jetbrains-{code.lower()}", title, partial(link, code), family=FAMILY) for code, title in IDES
    ]

"""Icons: of our own sprite by name, and what stands for the icons that templates choose.

Templates name icons as ``/icon/docker.svg``, ``/emojis/1f4e6.png``, an emoji, or an address on another host.
Nothing is loaded from other hosts, so those get the picture of our sprite that fits best.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_EMOJI_FILE = re.compile(r"/emojis?/([0-9a-f]{2,6}(?:-[0-9a-f]{2,6})*)\.", re.IGNORECASE)
_NAME = re.compile(r"([a-z0-9_-]+)\.(?:svg|png|jpe?g|webp)$", re.IGNORECASE)

_BY_WORD: Mapping[str, str] = {
    "aws": "brand-aws",
    "azure": "brand-azure",
    "code": "brand-vscode",
    "container": "container",
    "cursor": "code",
    "database": "database",
    "debian": "brand-debian",
    "desktop": "device-desktop",
    "docker": "brand-docker",
    "dotfiles": "file-code",
    "fedora": "brand-redhat",
    "folder": "folder",
    "gcp": "brand-google",
    "git": "brand-git",
    "github": "brand-github",
    "gitlab": "brand-gitlab",
    "go": "brand-golang",
    "goland": "brand-golang",
    "google": "brand-google",
    "intellij": "code",
    "java": "code",
    "javascript": "brand-javascript",
    "jetbrains": "code",
    "jupyter": "notebook",
    "k8s": "hexagon",
    "kubernetes": "hexagon",
    "kotlin": "brand-kotlin",
    "memory": "cpu",
    "node": "brand-nodejs",
    "nodejs": "brand-nodejs",
    "php": "brand-php",
    "pycharm": "brand-python",
    "python": "brand-python",
    "react": "brand-react",
    "rust": "brand-rust",
    "server": "server",
    "terminal": "terminal-2",
    "typescript": "brand-typescript",
    "ubuntu": "brand-ubuntu",
    "vscode": "brand-vscode",
    "widgets": "box",
    "windows": "brand-windows",
}

_BY_RESOURCE: Mapping[str, str] = {
    "container": "container",
    "deployment": "container",
    "pod": "container",
    "volume": "database",
    "disk": "disc",
    "image": "stack-2",
    "network": "network",
    "instance": "server",
    "machine": "server",
    "key": "key",
    "secret": "key",
    "file": "file-code",
    "namespace": "folder",
    "service": "world",
}


@dataclass(frozen=True)
class Picture:
    """What to draw: an icon of the sprite, or a text (an emoji or a letter), or a picture within the page."""

    icon: str = ""
    text: str = ""
    data: str = ""


def picture(value: str, title: str) -> Picture:
    """What stands for the icon that a template names, or for its title where it names none."""
    chosen = value.strip()
    if chosen.startswith("data:image/"):
        return Picture(data=chosen)
    emoji = _EMOJI_FILE.search(chosen)
    if emoji:
        return Picture(text="".join(chr(int(code, 16)) for code in emoji.group(1).split("-")))
    named = _NAME.search(chosen)
    if named and _by_word(named.group(1)):
        return Picture(icon=_by_word(named.group(1)))
    if chosen and len(chosen) <= 8 and not chosen.isascii():
        return Picture(text=chosen)
    return Picture(icon=_by_word(title)) if _by_word(title) else Picture(text=(title or "?")[0].upper())


def of_resource(type_name: str) -> str:
    """The sprite's icon for a Terraform resource type."""
    parts = type_name.lower().split("_")
    return next((_BY_RESOURCE[part] for part in reversed(parts) if part in _BY_RESOURCE), "box")


def _by_word(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((_BY_WORD[word] for word in words if word in _BY_WORD), "")

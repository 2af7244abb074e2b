"""Programs that read the SSH configuration: what to type, and what opens one of them."""

from __future__ import annotations

from stead.api.launchers import OWN_SSH, LauncherSpec


def ssh() -> list[LauncherSpec]:
    return [
        LauncherSpec("openssh", "OpenSSH", lambda to: f"ssh {to.host}", text=True),
        LauncherSpec("scp", "Copy files", lambda to: f"scp FILE {to.host}:", text=True),
        LauncherSpec("tramp", "Emacs TRAMP", lambda to: f"/ssh:{to.host}:{to.folder}", text=True),
        LauncherSpec("zed", "Zed", lambda to: f"zed://ssh/{to.quoted_host}{to.quoted_folder}", family=OWN_SSH),
    ]

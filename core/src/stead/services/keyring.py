"""Encryption of secrets at rest: AES-256-GCM under keys that can be rotated.

A sealed value names its key, so that old values open after a rotation. The purpose is bound as
associated data: what was sealed as the state of one build cannot be passed off as that of another.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import stat
import threading
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stead.api.errors import SteadError, Unavailable

_MAGIC = b"STD1"
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER = len(_MAGIC) + _KEY_ID_BYTES + _NONCE_BYTES


class SealBroken(SteadError):
    """A sealed value does not open: it was altered, belongs elsewhere, or its key is gone."""

    reason = "seal_broken"


class Keyring:
    """The keys of one deployment, kept in a file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._active = b""
        self._keys: dict[bytes, bytes] = {}
        self._load()

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)} keys>"

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Encrypt ``content`` so that only :meth:`open` with the same purpose gives it back."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self._keys[self._active])
        return _MAGIC + self._active + nonce + cipher.encrypt(nonce, content, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """The content of a sealed value.

        :raises SealBroken: altered, sealed for another purpose, or under a key that is not here.
        """
        if len(sealed) <= _HEADER or not sealed.startswith(_MAGIC):
            raise SealBroken(f"What is stored as {purpose.split(':', maxsplit=1)[0]} is not a sealed value.")
        key_id = sealed[len(_MAGIC) : len(_MAGIC) + _KEY_ID_BYTES]
        nonce = sealed[len(_MAGIC) + _KEY_ID_BYTES : _HEADER]
        try:
            return AESGCM(self._key(key_id, purpose)).decrypt(nonce, sealed[_HEADER:], purpose.encode())
        except InvalidTag as error:
            raise SealBroken(
                f"What is stored as {purpose.split(':', maxsplit=1)[0]} was altered, or belongs to something else."
            ) from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the value is sealed under the newest key; others are sealed again after a rotation."""
        return sealed[len(_MAGIC) : len(_MAGIC) + _KEY_ID_BYTES] == self._active

    def rotate(self) -> None:
        """Make a new key the active one; old keys stay for what they sealed."""
        with self._lock:
            self._read()
            key_id, key = _new_key()
            self._keys[key_id] = key
            self._active = key_id
            self._write()

    def _key(self, key_id: bytes, purpose: str) -> bytes:
        if key_id not in self._keys:
            with self._lock:
                self._read()  # another server may have rotated
        if key_id not in self._keys:
            raise SealBroken(
                f"The key that sealed the {purpose.split(':', maxsplit=1)[0]} is not in {self._path}.",
                remedy="Restore the keyring file that belongs to this database.",
            )
        return self._keys[key_id]

    def _load(self) -> None:
        if not self._path.exists():
            self._create()
        self._read()

    def _create(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_id, key = _new_key()
        self._keys, self._active = {key_id: key}, key_id
        draft = self._draft()
        # link() fails where another process was first: its keys are then the keys.
        with contextlib.suppress(FileExistsError):
            os.link(draft, self._path)
        draft.unlink()

    def _write(self) -> None:
        self._draft().replace(self._path)

    def _draft(self) -> Path:
        document = {
            "active": self._active.hex(),
            "keys": {key_id.hex(): base64.b64encode(key).decode() for key_id, key in self._keys.items()},
        }
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _read(self) -> None:
        try:
            if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
                raise Unavailable(
                    f"The keyring {self._path} can be read by others.", remedy=f"Run: chmod 600 {self._path}"
                )
            document = json.loads(self._path.read_text(encoding="utf-8"))
            self._keys = {bytes.fromhex(k): base64.b64decode(v) for k, v in document["keys"].items()}
            self._active = bytes.fromhex(document["active"])
        except (OSError, ValueError, KeyError) as error:
            raise Unavailable(
                f"The keyring {self._path} cannot be read ({type(error).__name__}).",
                remedy="Restore it from a backup: without it nothing that is encrypted can be opened.",
            ) from error


def _new_key() -> tuple[bytes, bytes]:
    return secrets.token_bytes(_KEY_ID_BYTES), AESGCM.generate_key(bit_length=256)

"""``hashicorp/local``: files on the provisioner's machine."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from stead.api.errors import ProviderFailure, ResourceNotFound
from stead.api.provider import Context, DataSource, Provider, Resource, attribute, matches
from stead.api.provider.model import Model
from stead.api.records import NoSettings, ProviderSpec

_permission = matches(r"0?[0-7]{3}", "must be an octal number of three or four digits, such as 0644")

#: Bigger files are no configuration, and would have to pass through Terraform's state.
LARGEST = 64 * 1024 * 1024


class _Digests(Model):
    """Computed attributes of every file."""

    id: str = attribute(computed=True, description="The SHA-1 of the content.")
    content_md5: str = attribute(computed=True)
    content_sha1: str = attribute(computed=True)
    content_sha256: str = attribute(computed=True)
    content_base64sha256: str = attribute(computed=True)
    content_sha512: str = attribute(computed=True)
    content_base64sha512: str = attribute(computed=True)

    def _digest(self, content: bytes) -> None:
        self.content_md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.content_sha1 = self.id = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        sha256, sha512 = hashlib.sha256(content), hashlib.sha512(content)
        self.content_sha256, self.content_base64sha256 = sha256.hexdigest(), _base64(sha256.digest())
        self.content_sha512, self.content_base64sha512 = sha512.hexdigest(), _base64(sha512.digest())


class _File(_Digests, Resource):
    """What both file resources do. Every change makes the file anew."""

    filename: str = attribute(required=True, force_new=True)
    source: str | None = attribute(optional=True, force_new=True, description="A file to copy.")
    content: str | None = None
    content_base64: str | None = None
    file_permission: str = ""
    directory_permission: str = ""

    def create(self, context: Context) -> None:
        content = self._wanted(context)
        _write(
            context.build.resolve(self.filename),
            content,
            file_mode=int(self.file_permission, 8),
            folder_mode=int(self.directory_permission, 8),
        )
        self._digest(content)

    def read(self, context: Context) -> bool:
        """A file that is missing, or that somebody changed, is made again."""
        path = context.build.resolve(self.filename)
        try:
            present = _read(path)
        except ProviderFailure:
            return False
        return hashlib.sha1(present, usedforsecurity=False).hexdigest() == self.id

    def delete(self, context: Context) -> None:
        try:
            context.build.resolve(self.filename).unlink(missing_ok=True)
        except OSError as error:
            raise _failure("remove", self.filename, error) from error

    def _wanted(self, context: Context) -> bytes:
        if self.content_base64 is not None:
            return _from_base64(self.content_base64)
        if self.source is not None:
            return _read(context.build.resolve(self.source), field="source")
        return self._text().encode()

    def _text(self) -> str:
        return self.content or ""


class LocalFile(_File, name="local_file"):
    """A file with the given content."""

    content: str | None = attribute(
        optional=True, force_new=True, exactly_one_of=["content_base64", "sensitive_content", "source"]
    )
    content_base64: str | None = attribute(optional=True, force_new=True)
    sensitive_content: str | None = attribute(
        optional=True,
        force_new=True,
        sensitive=True,
        deprecated="Use the resource local_sensitive_file instead",
    )
    file_permission: str = attribute(default="0777", force_new=True, validators=[_permission])
    directory_permission: str = attribute(default="0777", force_new=True, validators=[_permission])

    def _text(self) -> str:
        return self.content or self.sensitive_content or ""


class LocalSensitiveFile(_File, name="local_sensitive_file"):
    """A file whose content is a secret."""

    content: str | None = attribute(
        optional=True, force_new=True, sensitive=True, exactly_one_of=["content_base64", "source"]
    )
    content_base64: str | None = attribute(optional=True, force_new=True, sensitive=True)
    file_permission: str = attribute(default="0700", force_new=True, validators=[_permission])
    directory_permission: str = attribute(default="0700", force_new=True, validators=[_permission])


class _FileData(_Digests, DataSource):
    filename: str = attribute(required=True)
    content: str = ""
    content_base64: str = ""

    def read(self, context: Context) -> None:
        content = _read(context.build.resolve(self.filename))
        self.content = content.decode(errors="replace")
        self.content_base64 = _base64(content)
        self._digest(content)


class LocalFileData(_FileData, name="local_file"):
    """The content of a file."""

    content: str = attribute(computed=True)
    content_base64: str = attribute(computed=True)


class LocalSensitiveFileData(_FileData, name="local_sensitive_file"):
    """The content of a file, which is a secret."""

    content: str = attribute(computed=True, sensitive=True)
    content_base64: str = attribute(computed=True, sensitive=True)


class Local(
    Provider,
    address="hashicorp/local",
    resources=[LocalFile, LocalSensitiveFile],
    data_sources=[LocalFileData, LocalSensitiveFileData],
):
    """Files on the provisioner's machine. Relative names start at the template's folder."""


def local_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/local", title="Local files", factory=_make)


def _make(settings: NoSettings) -> Local:
    del settings
    return Local()


def _write(path: Path, content: bytes, *, file_mode: int, folder_mode: int) -> None:
    """Write a file with its missing folders. A reader sees the old content or the new one, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        for folder in reversed([parent for parent in path.parents if not parent.exists()]):
            folder.mkdir(mode=folder_mode, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, file_mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _failure("write", str(path), error) from error


def _read(path: Path, *, field: str = "filename") -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise ResourceNotFound(
            f"There is no file {str(path)!r}.",
            field=field,
            remedy="Relative paths start at the template's folder.",
        ) from error
    except OSError as error:
        raise _failure("read", str(path), error, field=field) from error
    if len(content) > LARGEST:
        raise ProviderFailure(f"The file {str(path)!r} is bigger than {LARGEST >> 20} MiB.", field=field)
    return content


def _failure(action: str, path: str, error: OSError, *, field: str = "filename") -> ProviderFailure:
    return ProviderFailure(f"Could not {action} {path!r}: {error.strerror}.", field=field)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except ValueError:
        raise ProviderFailure("The content is not base64.", field="content_base64") from None

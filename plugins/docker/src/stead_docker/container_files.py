"""``upload`` blocks: files that a container has before it starts."""

from __future__ import annotations

import base64
import binascii
import io
import tarfile
import time
from typing import TYPE_CHECKING

from stead.api.errors import ProviderFailure
from stead.api.provider import Context
from stead_docker.engine import engine_of

if TYPE_CHECKING:
    from stead_docker.container import Container
    from stead_docker.container_blocks import Upload


def content_of(upload: Upload, context: Context, field: str) -> bytes:
    """The bytes of the file, from whichever of the three arguments gives them."""
    if upload.content_base64 is not None:
        try:
            return base64.b64decode(upload.content_base64, validate=True)
        except binascii.Error as error:
            raise ProviderFailure(f"The content is not base64: {error}.", field=f"{field}.content_base64") from error
    if upload.source is not None:
        path = context.build.resolve(upload.source)
        try:
            return path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ProviderFailure(f"{upload.source} cannot be read: {reason}.", field=f"{field}.source") from error
    return (upload.content or "").encode()


def mode_of(upload: Upload) -> int:
    if upload.permissions:
        return int(upload.permissions, 8)
    return 0o744 if upload.executable else 0o644


def archive(container: Container, context: Context) -> bytes:
    """All uploads as one tar of absolute paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for index, upload in enumerate(container.upload):
            content = content_of(upload, context, f"upload[{index}]")
            entry = tarfile.TarInfo(upload.file.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(content), mode_of(upload), int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def upload_all(container: Container, identity: str, context: Context) -> None:
    if not container.upload:
        return
    packed = archive(container, context)
    engine_of(context).do(
        context,
        f"Files could not be copied into container {container.name}",
        lambda client: client.put_archive(identity, "/", packed),
        field="upload",
        again=True,
    )

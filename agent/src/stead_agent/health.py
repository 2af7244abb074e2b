"""Asks a template's apps whether they are well."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from stead_agent.errors import AgentError

MAX_STATUS_LINE = 4096


class HealthError(AgentError):
    pass


async def check(url: str, patience: float) -> None:
    """``GET`` the address once; any answer below 500 is good.

    :raises HealthError: it did not answer in time, or with a server error.
    """
    try:
        async with asyncio.timeout(patience):
            status = await _status(url)
    except TimeoutError:
        raise HealthError(f"no answer within {patience:g} s") from None
    except (OSError, ValueError, IndexError) as error:
        raise HealthError(str(error) or type(error).__name__) from error
    if status >= 500:
        raise HealthError(f"HTTP {status}")


async def _status(url: str) -> int:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = _unverified() if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context, limit=MAX_STATUS_LINE)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: stead-agent\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode("utf-8"))
        line = await reader.readuntil(b"\r\n")
        return int(line.split()[1])
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("the answer is not HTTP") from error
    finally:
        writer.transport.abort()


def _unverified() -> ssl.SSLContext:
    """An app of the workspace on its own loopback address: its certificate proves nothing to anyone."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

"""Pipes of sessions: narrow until they carry much, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import fcntl
import os

from stead_agent.pump import USUAL_PIPE, FdReader, FdWriter

BLOCK = os.urandom(3 * 1024 * 1024 + 1)


async def carry(content: bytes) -> tuple[bytes, int, int]:
    """What comes out of a writer's pipe that a reader reads, and the pipe's size before and after."""
    out, into = os.pipe()
    for end in (out, into):
        os.set_blocking(end, False)
    before = fcntl.fcntl(out, fcntl.F_GETPIPE_SZ)
    got: list[bytes] = []
    ended = asyncio.Event()
    writer = FdWriter(into, lambda: None, lambda: None)
    reader = FdReader(out, got.append, ended.set)
    watched = os.dup(out)
    reader.start()
    writer.write(content)
    writer.close_when_empty()
    async with asyncio.timeout(30):
        await ended.wait()
    after = fcntl.fcntl(watched, fcntl.F_GETPIPE_SZ)
    os.close(watched)
    return b"".join(got), before, after


def test_a_pipe_stays_narrow_for_what_is_typed():
    content, before, after = asyncio.run(carry(b"ls\n"))
    assert content == b"ls\n"
    assert after == before <= USUAL_PIPE


def test_a_pipe_that_runs_full_is_widened_and_nothing_is_lost():
    content, before, after = asyncio.run(carry(BLOCK))
    assert content == BLOCK
    assert after > before

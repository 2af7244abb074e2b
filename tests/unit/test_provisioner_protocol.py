"""What control plane and provisioner say to each other: what fits comes through whole, what does not is refused."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stead.api import errors
from stead.api.errors import BuildFailure, SteadError, TooLarge
from stead.api.provider import Owner
from stead.broker.desk import _ANSWERS
from stead.domain.records import ProviderChoice
from stead.domain.states import JobKind, Transition
from stead.domain.tasks import BuildTask, Leftover
from stead.protocol import messages as m
from stead.protocol.frames import Header, LinkLost, Violation, Wire

TASK = BuildTask(
    build_id="b",
    number=3,
    transition=Transition.STOP,
    orphan=False,
    workspace_id="w",
    workspace_name="dev",
    version_id="v",
    version_name="one",
    template_id="t",
    template_name="box",
    archive=bytes(range(256)),
    variables={"a": "hunter2"},
    graph=None,
    lock=b"\xff\xfe",
    providers=(ProviderChoice("registry.terraform.io/a/b", "terraform", "why"),),
    parameters={"size": "2"},
    previous_parameters={},
    state=b'{"serial": 1}',
    leftovers=(Leftover("k", "p", "t", "id", "{}", 1.5),),
    owner=Owner(id="o", name="ada", groups=("Everyone",), session_token="hunter2"),
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Wire]]:
    """A raw end, and a wire that takes messages of at most 100 bytes of the kind ``Fine``."""

    def largest(kind: str) -> int:
        if kind != "Fine":
            raise Violation("a kind that there is not")
        return 100

    raw, connection = socket.socketpair()
    raw.settimeout(30)
    connection.settimeout(30)
    yield raw, Wire(connection, largest)
    raw.close()
    connection.close()


def frame(header: bytes, body: bytes) -> bytes:
    return struct.pack("!HI", len(header), len(body)) + header + body


def test_a_frame_comes_through(ends: tuple[socket.socket, Wire]) -> None:
    raw, wire = ends
    raw.sendall(frame(b'{"number":7,"kind":"Fine"}', b"{}"))
    assert wire.receive() == (Header(7, "Fine"), b"{}")
    wire.send(Header(8, "Any"), b"[]", 2)
    assert raw.recv(100) == frame(b'{"number":8,"kind":"Any"}', b"[]")


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (frame(b'{"number":1,"kind":"Other"}', b""), "kind"),
        (frame(b'{"number":1,"kind":"Fine"}', b"x" * 101), "101 bytes"),
        (frame(b"x" * 257, b""), "header of 257"),
        (frame(b'{"number":1', b""), "header"),
        (frame(b'{"number":"one","kind":"Fine"}', b""), "header"),
        (b"GET / HTTP/1.1\r\n\r\n" + bytes(20000), "header"),
    ],
)
def test_what_is_no_frame_is_refused(ends: tuple[socket.socket, Wire], sent: bytes, what: str) -> None:
    raw, wire = ends
    raw.sendall(sent)
    with pytest.raises(Violation, match=what):
        wire.receive()


def test_a_body_beyond_its_bound_is_not_waited_for(ends: tuple[socket.socket, Wire]) -> None:
    raw, wire = ends
    header = b'{"number":1,"kind":"Fine"}'
    raw.sendall(struct.pack("!HI", len(header), 0xFFFFFFFF) + header)
    with pytest.raises(Violation, match="4294967295 bytes"):
        wire.receive()


def test_nothing_is_sent_of_what_is_too_large(ends: tuple[socket.socket, Wire]) -> None:
    raw, wire = ends
    with pytest.raises(TooLarge):
        wire.send(Header(1, "Fine"), b"x" * 11, 10)
    wire.send(Header(2, "Fine"), b"{}", 10)
    assert b'"number":2' in raw.recv(100)


def test_a_connection_that_ends_in_the_middle_is_told(ends: tuple[socket.socket, Wire]) -> None:
    raw, wire = ends
    raw.sendall(frame(b'{"number":1,"kind":"Fine"}', b"12345")[:-1])
    raw.close()
    with pytest.raises(LinkLost):
        wire.receive()


def test_closing_wakes_whoever_receives(ends: tuple[socket.socket, Wire]) -> None:
    _, wire = ends
    threading.Timer(0.2, wire.close).start()
    with pytest.raises(LinkLost):
        wire.receive()


MESSAGES: list[m.Message] = [
    m.Loaded(build=TASK),
    m.Harvest("lease", bytes(range(256))),
    m.Log("lease", (m.Line(datetime(2026, 5, 1, tzinfo=UTC), "info", "planning", "ä\U0001f600"),)),
    m.Grant("lease", "job", JobKind.BUILD),
    m.Fail("lease", m.failure_of(BuildFailure("It broke.", field="main.tf:1", remedy="Mend it.")), None),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_through_as_it_was(message: m.Message) -> None:
    assert m.decode(type(message), m.encode(message)) == message
    assert "hunter2" not in repr(message)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (m.Stage, b'{"lease":"l"}'),
        (m.Stage, b'{"lease":"l","stage":"planning","job":"j"}'),
        (m.Stage, b'{"lease":"l","stage":"Not a word"}'),
        (m.Stage, b'{"lease":"","stage":"planning"}'),
        (m.Stage, b"[]"),
        (m.Stage, b"\x80\x04K\x01."),
        (m.Harvest, b'{"lease":"l","state":"not base64!"}'),
        (m.Log, b'{"lease":"l","lines":[{"at":"2026-05-01T00:00:00","level":"info","source":"s","text":"t"}]}'),
        (m.Beat, b'{"leases":["%s"]}' % (b"x" * 65)),
    ],
)
def test_a_message_that_does_not_fit_is_refused_without_a_word_of_it(kind: type[m.Message], body: bytes) -> None:
    with pytest.raises(Violation) as refused:
        m.decode(kind, body)
    assert kind.__name__ in str(refused.value)
    assert "Not a word" not in str(refused.value)


def test_every_call_has_an_answer() -> None:
    assert set(_ANSWERS) == set(m.CALLS.values())


def test_no_call_names_a_job_a_build_or_a_workspace() -> None:
    fields = {name for call in m.CALLS.values() for name in call.__dataclass_fields__}
    assert not {name for name in fields if name.endswith("_id") or name in {"job", "build", "workspace"}}


def all_errors() -> list[type[SteadError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SteadError)]
    assert len(found) > 20
    return found


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_comes_through_as_what_it_is(kind: type[SteadError]) -> None:
    error = m.error_of(m.decode(m.Failure, m.encode(m.failure_of(kind("What.", field="f", remedy="Do.")))))
    assert type(error) is kind
    assert (str(error), error.field, error.reason) == ("What. Do.", "f", kind.reason)


def test_an_error_of_a_plugin_becomes_the_nearest_that_is_known() -> None:
    class Odd(BuildFailure):
        reason = "Very odd!"

    error: Any = m.error_of(m.failure_of(Odd("x" * 100_000)))
    assert type(error) is BuildFailure
    assert error.reason == BuildFailure.reason
    assert len(str(error)) < 10_000


def test_text_that_cannot_be_written_is_an_error_of_the_caller() -> None:
    with pytest.raises(errors.InvalidInput):
        m.encode(m.Intend("lease", "\ud800", "p", "t", "a"))

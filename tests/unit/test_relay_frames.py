"""The relay against in-memory transports: framing, admission, routing, slow clients."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import Box, PrivateKey, PublicKey

from stead.network.relay import Admission, Relay, RelayConnection, RelayEndpoint, RelayLimits, relay_map
from stead.network.relay.admission import parse_key
from stead.network.relay.frames import (
    HEADER,
    MAGIC,
    MAX_FRAME,
    FrameReader,
    FrameType,
    MalformedFrame,
    PeerGone,
    frame,
)

WIREGUARD_DATA = b"\x04\x00\x00\x00"


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; loses the connection when it is aborted or closed."""

    def __init__(self, protocol: RelayConnection) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.protocol = protocol
        protocol.connection_made(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def writelines(self, list_of_data: object) -> None:
        self.written += b"".join(list_of_data)  # type: ignore[call-overload]

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.protocol.connection_lost(None)

    abort = close

    def frames(self) -> list[tuple[int, bytes]]:
        found = [(kind, bytes(body)) for kind, body in FrameReader().feed(bytes(self.written))]
        self.written.clear()
        return found


class Client:
    """A DERP client whose wire is memory."""

    def __init__(self, relay: Relay, private: PrivateKey | None = None) -> None:
        self.private = private or PrivateKey.generate()
        self.key = bytes(self.private.public_key)
        self.connection = RelayConnection(relay)
        self.transport = MemoryTransport(self.connection)

    def introduce(self, claimed: bytes | None = None) -> Client:
        [(kind, body)] = self.transport.frames()
        assert kind == FrameType.SERVER_KEY
        assert body[: len(MAGIC)] == MAGIC
        self.server = body[len(MAGIC) :]
        info = Box(self.private, PublicKey(self.server)).encrypt(json.dumps({"version": 2}).encode())
        self.feed(frame(FrameType.CLIENT_INFO, (claimed or self.key) + bytes(info)))
        return self

    def feed(self, data: bytes) -> None:
        if not self.transport.closed:
            self.connection.data_received(data)

    def joined(self) -> Client:
        self.introduce()
        [(kind, body)] = self.transport.frames()
        assert kind == FrameType.SERVER_INFO
        assert json.loads(Box(self.private, PublicKey(self.server)).decrypt(body)) == {"version": 2}
        return self

    def send(self, to: bytes, packet: bytes) -> None:
        self.feed(frame(FrameType.SEND_PACKET, to + packet))


class Setting:
    def __init__(self, **limits: int | float) -> None:
        self.admission = Admission()
        self.relay = Relay(self.admission, RelayLimits(**limits))  # type: ignore[arg-type]

    def client(self, private: PrivateKey | None = None) -> Client:
        client = Client(self.relay, private)
        self.admission.admit(client.key.hex(), client.key)
        return client.joined()


async def test_a_packet_reaches_the_key_it_names_with_the_senders_key() -> None:
    setting = Setting()
    a, b = setting.client(), setting.client()
    a.send(b.key, b"hello")
    assert b.transport.frames() == [(FrameType.RECEIVED_PACKET, a.key + b"hello")]
    assert a.transport.frames() == []


async def test_many_packets_in_one_read_keep_their_order_and_their_destinations() -> None:
    setting = Setting()
    a, b, c = setting.client(), setting.client(), setting.client()
    burst = b"".join(frame(FrameType.SEND_PACKET, (b if n % 2 else c).key + n.to_bytes(2, "big")) for n in range(100))
    a.feed(burst)
    assert [body[32:] for _, body in b.transport.frames()] == [n.to_bytes(2, "big") for n in range(1, 100, 2)]
    assert [body[32:] for _, body in c.transport.frames()] == [n.to_bytes(2, "big") for n in range(0, 100, 2)]


async def test_a_key_that_was_not_registered_is_turned_away() -> None:
    setting = Setting()
    stranger = Client(setting.relay).introduce()
    assert stranger.transport.closed
    assert setting.relay.connection_count == 0


async def test_a_registered_key_is_no_use_without_its_private_half() -> None:
    setting = Setting()
    victim = setting.client()
    thief = Client(setting.relay).introduce(claimed=victim.key)
    assert thief.transport.closed
    assert not victim.transport.closed


async def test_revoking_an_owner_ends_its_connections() -> None:
    setting = Setting()
    a, b = setting.client(), setting.client()
    b.send(a.key, b"x")
    setting.admission.revoke(a.key.hex())
    assert a.transport.closed
    assert b.transport.frames() == [(FrameType.PEER_GONE, a.key + bytes([PeerGone.DISCONNECTED]))]


async def test_a_packet_to_nobody_is_answered_with_peer_gone() -> None:
    a = Setting().client()
    a.send(b"\x07" * 32, b"x")
    assert a.transport.frames() == [(FrameType.PEER_GONE, b"\x07" * 32 + bytes([PeerGone.NOT_HERE]))]


async def test_answers_take_the_connection_that_the_peer_last_used() -> None:
    setting = Setting()
    shared = PrivateKey.generate()
    first, second, peer = setting.client(shared), setting.client(shared), setting.client()
    first.send(peer.key, b"from first")
    peer.send(first.key, b"to first")
    assert len(first.transport.frames()) == 1
    second.send(peer.key, b"from second")
    peer.send(first.key, b"to second")
    assert first.transport.frames() == []
    assert [body[32:] for _, body in second.transport.frames()] == [b"to second"]
    second.transport.close()
    peer.send(first.key, b"who is left")
    assert [body[32:] for _, body in first.transport.frames()] == [b"who is left"]


async def test_a_peer_is_gone_only_with_its_last_connection() -> None:
    setting = Setting()
    shared = PrivateKey.generate()
    first, second, peer = setting.client(shared), setting.client(shared), setting.client()
    peer.send(first.key, b"x")
    second.transport.close()
    assert peer.transport.frames() == []
    first.transport.close()
    assert [kind for kind, _ in peer.transport.frames()] == [FrameType.PEER_GONE]


async def test_connections_of_one_key_are_bounded() -> None:
    setting = Setting(connections_per_key=2)
    shared = PrivateKey.generate()
    setting.client(shared)
    setting.client(shared)
    assert Client(setting.relay, shared).introduce().transport.closed


async def test_a_slow_client_loses_the_oldest_packets_and_nothing_grows() -> None:
    setting = Setting(queue_bytes=1000)
    a, slow = setting.client(), setting.client()
    slow.connection.pause_writing()
    for n in range(100):
        a.send(slow.key, n.to_bytes(2, "big") + bytes(58))
    assert slow.transport.frames() == []
    assert slow.connection.dropped > 80
    slow.connection.resume_writing()
    kept = [int.from_bytes(body[32:34], "big") for _, body in slow.transport.frames()]
    assert kept == list(range(100 - len(kept), 100))
    assert 0 < len(kept) * 97 <= 1000
    a.send(slow.key, b"after")
    assert [body[32:] for _, body in slow.transport.frames()] == [b"after"]


async def test_ping_is_answered_with_its_own_bytes() -> None:
    a = Setting().client()
    a.feed(frame(FrameType.PING, b"12345678"))
    assert a.transport.frames() == [(FrameType.PONG, b"12345678")]


async def test_keep_alives_are_sent() -> None:
    a = Setting(keep_alive=0.01).client()
    deadline = asyncio.get_running_loop().time() + 5
    while not (got := a.transport.frames()):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)
    assert got[0] == (FrameType.KEEP_ALIVE, b"")


async def test_whoever_stays_silent_is_closed() -> None:
    client = Client(Setting(handshake=0.01).relay)
    deadline = asyncio.get_running_loop().time() + 5
    while not client.transport.closed:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


async def test_the_relay_sees_wireguard_data_but_not_path_probing() -> None:
    setting = Setting()
    a, b = setting.client(), setting.client()
    a.send(b.key, "TS💬".encode() + bytes(40))
    assert setting.relay.last_carried(a.key) is None
    a.send(b.key, WIREGUARD_DATA + bytes(40))
    assert setting.relay.last_carried(a.key) is not None
    assert setting.relay.last_carried(b.key) is not None


async def test_shutdown_says_so_and_closes_everything() -> None:
    setting = Setting()
    a = setting.client()
    setting.relay.shutdown()
    assert [kind for kind, _ in a.transport.frames()] == [FrameType.RESTARTING]
    assert a.transport.closed
    assert setting.relay.is_full


@pytest.mark.parametrize(
    "bad",
    [
        HEADER.pack(FrameType.SEND_PACKET, MAX_FRAME + 1),
        frame(FrameType.SEND_PACKET, b"short"),
        frame(FrameType.PING, b"short"),
    ],
)
async def test_malformed_frames_close_the_connection(bad: bytes) -> None:
    a = Setting().client()
    a.feed(bad)
    assert a.transport.closed


async def test_unknown_frames_are_skipped() -> None:
    setting = Setting()
    a, b = setting.client(), setting.client()
    a.feed(frame(0x55, b"later versions") + frame(FrameType.SEND_PACKET, b.key + b"x"))  # type: ignore[arg-type]
    assert [body[32:] for _, body in b.transport.frames()] == [b"x"]


@given(
    frames=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=20),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=10),
)
def test_frames_survive_any_fragmentation(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(kind, body) for kind, body in frames)  # type: ignore[arg-type]
    reader, seen, position, turn = FrameReader(), [], 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        seen += [(kind, bytes(body)) for kind, body in reader.feed(stream[position : position + size])]
        position, turn = position + size, turn + 1
    assert seen == frames


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_either_pass_or_close_and_never_raise(chunks: list[bytes]) -> None:
    async def play() -> None:
        setting = Setting()
        client = setting.client()
        for chunk in chunks:
            client.feed(chunk)
        newcomer = Client(setting.relay)
        for chunk in chunks:
            newcomer.feed(chunk)
        client.transport.close()
        newcomer.transport.close()
        assert setting.relay.connection_count == 0

    asyncio.run(play())


def test_a_frame_beyond_the_bound_is_refused_before_it_is_buffered() -> None:
    with pytest.raises(MalformedFrame):
        list(FrameReader(limit=100).feed(HEADER.pack(1, 101)))


def test_an_owner_keeps_its_last_keys_and_nobody_takes_over_anothers() -> None:
    gone: list[bytes] = []
    admission = Admission(keep=2, on_revoked=gone.append)
    for n in range(3):
        admission.admit("agent", bytes([n]) * 32)
    assert admission.keys("agent") == (b"\x01" * 32, b"\x02" * 32)
    assert gone == [b"\x00" * 32]
    with pytest.raises(ValueError, match="belongs to another"):
        admission.admit("intruder", b"\x02" * 32)
    admission.admit("agent", b"\x01" * 32)
    assert admission.keys("agent")[-1] == b"\x01" * 32
    admission.revoke("agent")
    assert not admission.is_admitted(b"\x01" * 32)


@pytest.mark.parametrize("text", ["", "nodekey:", "nodekey:" + "g" * 64, "privkey:" + "0" * 64, "nodekey:" + "0" * 63])
def test_keys_are_read_strictly(text: str) -> None:
    with pytest.raises(ValueError):
        parse_key(text)


def test_the_map_pins_a_self_signed_certificate() -> None:
    document = relay_map(RelayEndpoint("stead.example", 443, None, "AB" * 32))
    [node] = document["Regions"]["900"]["Nodes"]
    assert node["CertName"] == "sha256-raw:" + "ab" * 32
    assert node["STUNPort"] == -1
    assert "CertName" not in relay_map(RelayEndpoint("stead.example", 443, 3478))["Regions"]["900"]["Nodes"][0]


@pytest.mark.parametrize(
    ("host", "families"),
    [
        ("192.0.2.1", ("192.0.2.1", "none")),
        ("localhost", ("127.0.0.1", "none")),
        ("2001:db8::1", ("none", "2001:db8::1")),
        ("stead.example", (None, None)),
    ],
)
def test_the_map_says_which_families_a_literal_address_has(host: str, families: tuple[str | None, str | None]) -> None:
    [node] = relay_map(RelayEndpoint(host, 443, 3478))["Regions"]["900"]["Nodes"]
    assert (node.get("IPv4"), node.get("IPv6")) == families

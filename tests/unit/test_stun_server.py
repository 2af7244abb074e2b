"""STUN: the answer to a binding request, by RFC 5389 and its test vectors (RFC 5769)."""

from __future__ import annotations

import asyncio
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.network.stun import HEADER, MAGIC_COOKIE, binding_response, serve_stun

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")


def request(attributes: bytes = b"") -> bytes:
    return HEADER.pack(1, len(attributes), MAGIC_COOKIE, TRANSACTION) + attributes


def mapped(response: bytes) -> tuple[str, int]:
    kind, length, cookie, transaction = HEADER.unpack_from(response)
    assert (kind, length, cookie, transaction) == (0x0101, len(response) - 20, MAGIC_COOKIE, TRANSACTION)
    name, size, _, family, port = struct.unpack_from(">HHBBH", response, 20)
    assert name == 0x0020
    assert size == (8 if family == 1 else 20)
    mask = struct.pack(">I", MAGIC_COOKIE) + TRANSACTION
    raw = bytes(a ^ b for a, b in zip(response[28:], mask, strict=False))
    return str(ipaddress.ip_address(raw)), port ^ (MAGIC_COOKIE >> 16)


def test_the_vectors_of_rfc_5769() -> None:
    four = binding_response(request(), "192.0.2.1", 32853)
    assert four is not None
    assert four.endswith(bytes.fromhex("002000080001a147e112a643"))
    six = binding_response(request(), "2001:db8:1234:5678:11:2233:4455:6677", 32853)
    assert six is not None
    assert six.endswith(bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"))


@given(
    address=st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None)),
    port=st.integers(0, 65535),
)
def test_every_address_comes_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    response = binding_response(request(b"\x80\x22\x00\x04test"), str(address), port)
    assert response is not None
    assert mapped(response) == (str(address), port)


def test_a_mapped_address_is_told_as_what_it_is() -> None:
    response = binding_response(request(), "::ffff:192.0.2.1", 4)
    assert response is not None
    assert mapped(response) == ("192.0.2.1", 4)


@given(st.binary(max_size=1500))
def test_anything_else_gets_no_answer(noise: bytes) -> None:
    assert binding_response(noise, "192.0.2.1", 1) is None


@pytest.mark.parametrize(
    "bad",
    [
        request()[:-1],
        request() + b"x",
        HEADER.pack(1, 0, 0, TRANSACTION),
        HEADER.pack(0x0101, 0, MAGIC_COOKIE, TRANSACTION),
        request(bytes(1300)),
    ],
)
def test_requests_that_are_not_quite_right_get_no_answer(bad: bytes) -> None:
    assert binding_response(bad, "192.0.2.1", 1) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_answers_over_udp(host: str) -> None:
    server = await serve_stun(host, 0)
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    class Asker(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            answers.put_nowait(data)

    address = server.get_extra_info("sockname")[:2]
    asker, _ = await asyncio.get_running_loop().create_datagram_endpoint(Asker, remote_addr=address)
    try:
        asker.sendto(b"noise")
        asker.sendto(request())
        assert mapped(await asyncio.wait_for(answers.get(), 5)) == (host, asker.get_extra_info("sockname")[1])
    finally:
        asker.close()
        server.close()

"""Streams that agents have parked with us, and that we take as people need them."""

from stead.network.streams.channel import Channel, Route, TcpChannel, Transport
from stead.network.streams.parked import Stream, StreamLost, TargetRefused
from stead.network.streams.pool import AgentUnreachable, StreamPool, StreamTimings
from stead.network.streams.splice import Move, Traffic, splice
from stead.network.streams.target import Target

__all__ = [
    "AgentUnreachable",
    "Channel",
    "Move",
    "Route",
    "Stream",
    "StreamLost",
    "StreamPool",
    "StreamTimings",
    "Target",
    "TargetRefused",
    "TcpChannel",
    "Traffic",
    "Transport",
    "splice",
]

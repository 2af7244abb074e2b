"""The DERP relay: where agents and the control plane meet, and what carries packets without a direct path."""

from stead.network.relay.admission import Admission
from stead.network.relay.connection import RelayConnection
from stead.network.relay.document import RelayEndpoint, relay_map
from stead.network.relay.relay import Relay, RelayLimits

__all__ = ["Admission", "Relay", "RelayConnection", "RelayEndpoint", "RelayLimits", "relay_map"]

"""The control connection of agents: JSON-RPC 2.0 over one WebSocket each."""

from stead.gateway.rpc.endpoint import AgentRpc

__all__ = ["AgentRpc"]

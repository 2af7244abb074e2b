"""Errors of the agent.

AgentError
├── ConfigurationError      the environment does not say what it must
├── ControlPlaneError       the control plane could not be reached or answered with an error
│   └── Revoked             the control plane has ended this agent: its build is gone
├── ProofError              the machine could not prove which one it is
├── StreamRefused           a stream's target is not reachable or not allowed
├── TunnelError             the tunnel process did not come up
└── SpawnError              a process of the workspace could not be started
"""

from __future__ import annotations


class AgentError(Exception):
    """An expected failure; the text says what happened and what to do."""


class ConfigurationError(AgentError):
    pass


class ControlPlaneError(AgentError):
    pass


class Revoked(ControlPlaneError):
    pass


class ProofError(AgentError):
    pass


class StreamRefused(AgentError):
    pass


class TunnelError(AgentError):
    pass


class SpawnError(AgentError):
    pass

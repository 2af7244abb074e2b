"""The SSH server of the agent."""

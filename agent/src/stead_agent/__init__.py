"""The agent that runs inside a Stead workspace."""

VERSION = "0.1.0"

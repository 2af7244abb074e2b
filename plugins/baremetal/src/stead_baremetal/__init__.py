"""Stead workspaces on machines of your own."""

VERSION = "0.1.0"

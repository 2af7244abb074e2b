"""Stead on Docker."""

VERSION = "0.1.0"

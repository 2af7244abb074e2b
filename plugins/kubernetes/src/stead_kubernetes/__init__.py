"""Stead on Kubernetes."""

VERSION = "0.1.0"

"""Stead on Azure."""

VERSION = "0.1.0"

"""Acme for Stead. Importing it imports no SDK."""

VERSION = "0.1.0"

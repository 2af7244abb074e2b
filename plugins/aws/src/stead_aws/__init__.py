"""Stead on AWS: the provider ``hashicorp/aws`` and the platform."""

VERSION = "0.1.0"

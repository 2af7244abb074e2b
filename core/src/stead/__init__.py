"""Stead: self-hosted cloud development environments from Terraform templates."""

VERSION = "0.1.0"

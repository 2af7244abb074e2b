"""Serves providers of ``stead.api.provider`` to Terraform over the provider protocol, version 6."""

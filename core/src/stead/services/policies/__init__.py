"""Policies: the enabled ones, and what they say of requests and of plans."""

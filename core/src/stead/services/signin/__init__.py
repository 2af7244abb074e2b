"""Signing in: with what an organisation has, with a password of Stead's own, and for programs by a code."""

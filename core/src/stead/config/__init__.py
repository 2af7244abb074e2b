"""Typed settings: file, environment, flags."""

from stead.config.loader import load_settings
from stead.config.settings import Settings
from stead.config.types import split_address

__all__ = ["Settings", "load_settings", "split_address"]

"""Records to JSON, as :mod:`stead.domain.documents` says; the live gateway writes them the same way."""

from stead.domain.documents import timestamp, to_json

__all__ = ["timestamp", "to_json"]

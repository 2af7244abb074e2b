"""Who there is. As it stands they are in a file: make it ask your system, with a deadline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stead.api.errors import Unavailable

Entry = dict[str, Any]


class People:
    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> dict[str, Entry]:
        """Everybody, by name.

        :raises Unavailable: they cannot be asked for now.
        """
        try:
            found: dict[str, Entry] = json.loads(self._file.read_text())
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"{self._file} cannot be read.", remedy="Check file in the provider's section."
            ) from error
        return found

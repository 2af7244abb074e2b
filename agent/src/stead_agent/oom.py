"""Keeps the agent from being the victim when the workspace runs out of memory."""

from __future__ import annotations

from pathlib import Path

SCORE = Path("/proc/self/oom_score_adj")
PROTECTED = -900


class OomProtection:
    """Lowers the agent's own score; whatever it starts gets the original back."""

    def __init__(self) -> None:
        self._original: bytes | None = None

    def protect(self) -> bool:
        """Lower the score where that is permitted; say whether it was."""
        try:
            original = SCORE.read_bytes()
            SCORE.write_bytes(str(PROTECTED).encode())
        except OSError:
            return False
        self._original = original
        return True

    @property
    def active(self) -> bool:
        return self._original is not None

    def restore_in_child(self) -> None:
        """Between fork and exec."""
        if self._original is not None:
            SCORE.write_bytes(self._original)


protection = OomProtection()

"""Schedules with six fields, seconds first; imported only where a script has one."""

from __future__ import annotations

import time
from datetime import datetime

from croniter import croniter


class Schedule:
    """
    :raises ValueError: the expression is not a schedule of five or six fields.
    """

    def __init__(self, expression: str) -> None:
        fields = len(expression.split())
        if fields not in {5, 6} and not expression.startswith("@"):
            raise ValueError(f"it has {fields} fields where six are wanted")
        self._expression = expression
        self._iterator(0)

    def seconds_to_next(self) -> float:
        """Seconds from now to the next time, in the workspace's own time zone; never zero."""
        now = time.time()
        local = datetime.fromtimestamp(now).astimezone()
        following: datetime = croniter(self._expression, local, second_at_beginning=True).get_next(datetime)
        return max(following.timestamp() - now, 0.01)

    def _iterator(self, start: float) -> croniter:
        return croniter(self._expression, start, second_at_beginning=True)

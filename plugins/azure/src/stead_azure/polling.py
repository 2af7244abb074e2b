"""Waiting for Azure's long-running operations: canceled with the build, and patient with a passing failure."""

from __future__ import annotations

import random
from typing import Any

from azure.core import exceptions as sdk
from azure.mgmt.core.polling.arm_polling import ARMPolling

from stead.api.provider import Context
from stead_azure.failures import pause_wanted

PASSING = (408, 429, 500, 502, 503, 504)
LONGEST_PAUSE = 30.0  # seconds
UNKNOWN = 4  # times that Azure may not know what it is making


def backoff(context: Context, pause: float, attempt: int, wanted: float = 0.0) -> None:
    """Wait before another try: as long as Azure asks for, else longer each time, with jitter."""
    doubled = min(pause * 2.0**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
    context.wait(max(wanted, doubled))


class WatchedPolling(ARMPolling):
    """The SDK's own poller, which looks at the build between two looks at Azure.

    :param poll: seconds between two looks where Azure names no time.
    """

    def __init__(self, context: Context, poll: float, pause: float, attempts: int, **options: Any) -> None:
        super().__init__(poll, **options)
        self._watched, self._pause, self._attempts = context, pause, attempts

    def _sleep(self, delay: float) -> None:
        self._watched.wait(delay)

    def _passes(self, status: int, attempt: int) -> bool:
        """Whether the same question may be answered a moment later. What was just made is unknown to some servers."""
        making = self._initial_response.http_request.method != "DELETE"
        return status in PASSING or (status == 404 and making and attempt < min(UNKNOWN, self._attempts - 1))

    def request_status(self, status_link: str) -> Any:
        """Ask how it stands; again, where the question itself fails for the moment."""
        for attempt in range(self._attempts):
            wanted = 0.0
            try:
                answer = super().request_status(status_link)
                if not self._passes(answer.http_response.status_code, attempt):
                    return answer
                error = sdk.HttpResponseError(response=answer.http_response)
                wanted = pause_wanted(error)
            except (sdk.ServiceRequestError, sdk.ServiceResponseError) as raised:
                error = raised  # type: ignore[assignment]
            if attempt + 1 == self._attempts:
                raise error
            backoff(self._watched, self._pause, attempt, wanted)
        raise AssertionError("attempts is at least 1")

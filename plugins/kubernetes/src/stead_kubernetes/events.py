"""What the cluster says while something is waited for: events and logs to the build log, and why it does not go on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stead.api.errors import (
    CapacityExhausted,
    CredentialsRejected,
    OperationTimedOut,
    ProviderFailure,
    QuotaExceeded,
    ResourceNotFound,
    Throttled,
)
from stead.api.provider import Context
from stead_kubernetes.cluster import Cluster, Found
from stead_kubernetes.failures import EXCEEDED, QUOTA
from stead_kubernetes.kinds import EVENTS, LOGS

LOG_LINES = 20
PULL_LOGIN = "Give image_pull_secrets with a login for that registry, or check the one that is given."
PULL_NAME = "Check the image's name and tag."
PULL_NETWORK = "Check that the nodes reach the registry."
ROOM = (
    "Ask for less cpu or memory, add nodes, or check node_selector, affinity and tolerations; "
    "kubectl describe node tells what is free."
)
WAITING = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
}
AT_ONCE = {"InvalidImageName", "ErrImageNeverPull"}


@dataclass(frozen=True)
class Reason:
    """Why something does not go on.

    :param hopeless: it will not get better by waiting; otherwise it may, for a while.
    :param patient: it may get better until the deadline: nodes are added, other pods end.
    """

    failure: type[ProviderFailure]
    words: str
    remedy: str
    hopeless: bool = False
    patient: bool = False


def of_image(words: str, *, hopeless: bool = False) -> Reason:
    """Why an image cannot be pulled, from the words of the node."""
    if re.search(r"toomanyrequests|rate limit", words, re.IGNORECASE):
        return Reason(Throttled, words, "Wait, or give image_pull_secrets: logged in, the limit is higher.")
    if re.search(r"unauthorized|authentication required|access denied|authorization failed|no basic auth", words, re.I):
        return Reason(CredentialsRejected, words, PULL_LOGIN)
    if re.search(r"not found|manifest unknown|does not exist|invalid|couldn't parse|not present", words, re.IGNORECASE):
        return Reason(ResourceNotFound, words, PULL_NAME, hopeless=hopeless)
    return Reason(ProviderFailure, words, f"{PULL_NAME} {PULL_NETWORK}", hopeless=hopeless)


def of_scheduling(words: str) -> Reason:
    """Why no node takes a pod, from the words of the scheduler."""
    if re.search(r"persistentvolumeclaim|volume node affinity|unbound|bind persistent", words, re.IGNORECASE):
        remedy = "Check the claims of the pod (kubectl describe pvc): their storage class, size and zone."
        return Reason(CapacityExhausted, words, remedy, patient=True)
    return Reason(CapacityExhausted, words, ROOM, patient=True)


def of_refusal(words: str) -> Reason:
    """Why no pod is made, from the words of a controller."""
    if EXCEEDED.search(words):
        return Reason(QuotaExceeded, words, QUOTA)
    return Reason(ProviderFailure, words, "See kubectl describe for the namespace's policies and limits.")


def of_container(name: str, state: Found, last: Found) -> Reason | None:
    """Why a container does not run."""
    waiting = state.get("waiting") or {}
    word, words = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if word not in WAITING:
        return None
    told = f"container {name}: {word}" + (f" ({words})" if words else "")
    if "Image" in word or word == "RegistryUnavailable":
        return of_image(told, hopeless=word in AT_ONCE)
    if word == "CrashLoopBackOff":
        ended = last.get("terminated") or {}
        told = f"container {name} ends again and again, with exit code {ended.get('exitCode', '?')}"
        return Reason(ProviderFailure, told, "Check its command and its log, above.")
    if word == "CreateContainerConfigError":
        return Reason(ResourceNotFound, told, "Check the secrets and config maps that the container names.")
    return Reason(ProviderFailure, told, "Check command, args, working_dir and security_context.")


def of_pod(pod: Found) -> Reason | None:
    """Why a pod does not run; ``None`` where nothing is wrong with it yet."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return of_scheduling(str(condition.get("message", "no node fits")))
    for item in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        reason = of_container(item.get("name", ""), item.get("state") or {}, item.get("lastState") or {})
        if reason is not None:
            return reason
    if status.get("phase") == "Failed":
        words = status.get("message") or status.get("reason") or _ended(status)
        return Reason(ProviderFailure, f"the pod has failed: {words}", "Check its log, above.", hopeless=True)
    return None


def _ended(status: Found) -> str:
    for item in status.get("containerStatuses") or ():
        ended = (item.get("state") or {}).get("terminated")
        if ended:
            return f"container {item.get('name')} ended with exit code {ended.get('exitCode')}"
    return "its containers have ended"


class Watch:
    """Tells the build log what happens to some objects, each thing once, and gives up where it is time.

    :param doing: what is waited for, as the start of a sentence: "Pod web does not run".
    """

    def __init__(
        self,
        cluster: Cluster,
        context: Context,
        doing: str,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._context, self._doing, self._namespace = cluster, context, doing, namespace
        self._clock = clock
        self._told: set[tuple[str, str]] = set()
        self._logged: set[tuple[str, str]] = set()
        self._since: float | None = None
        self.last: Reason | None = None
        self.warning = ""
        self._silent = False

    def events(self, objects: Iterable[Found]) -> list[Found]:
        """Events of the objects that were not told of before."""
        new = []
        for thing in objects:
            uid = thing["metadata"]["uid"]
            for event in self._events(uid):
                mark = (uid, f"{event.get('reason')} {event.get('message')}")
                if mark not in self._told:
                    self._told.add(mark)
                    new.append(event)
                    self._tell(event)
        return new

    def _events(self, uid: str) -> list[Found]:
        doing = "Events could not be listed"
        selector = f"involvedObject.uid={uid}"
        try:
            return list(self._cluster.items(self._context, doing, EVENTS, self._namespace, fieldSelector=selector))
        except ProviderFailure as failure:
            if self._context.remaining == 0.0:
                raise
            # They only explain: what is waited for may come without them.
            self._context.log(str(failure), "debug" if self._silent else "warn")
            self._silent = True
            return []

    def _tell(self, event: Found) -> None:
        level = "warn" if event.get("type") == "Warning" else "info"
        about = event.get("involvedObject") or {}
        words = " ".join(str(event.get("message", "")).split())
        self._context.log(f"{about.get('kind')} {about.get('name')}: {event.get('reason')}: {words}", level)
        if level == "warn":
            self.warning = words

    def log_of(self, pod: Found) -> None:
        """The end of the log of each container that has ended, once for each of its runs."""
        name = pod["metadata"]["name"]
        status = pod.get("status") or {}
        for item in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            state, last = item.get("state") or {}, item.get("lastState") or {}
            ended = state.get("terminated") or last.get("terminated")
            mark = (name, str((ended or {}).get("containerID") or item.get("restartCount")))
            if ended and ended.get("exitCode") and mark not in self._logged:
                self._logged.add(mark)
                self._log(name, item["name"], previous="terminated" not in state)

    def _log(self, pod: str, container: str, *, previous: bool) -> None:
        query = {"container": container, "tailLines": LOG_LINES, **({"previous": "true"} if previous else {})}
        doing = f"The log of {pod} could not be read"
        try:
            text = self._cluster.text(self._context, doing, LOGS, self._namespace, pod, query)
        except ProviderFailure as failure:
            self._context.log(str(failure), "debug")
            return
        for line in text.splitlines():
            self._context.log(f"{pod}/{container}: {line}", "warn")

    def consider(self, reason: Reason | None) -> None:
        """Raise where waiting is no use any more."""
        if reason is None:
            self._since = None
            return
        if self._since is None or self.last is None or self.last.failure is not reason.failure:
            self._since = self._clock()
        self.last = reason
        waited = self._clock() - self._since
        if reason.hopeless or (not reason.patient and waited >= self._cluster.settings.patience):
            raise self.failure(reason)

    def failure(self, reason: Reason) -> ProviderFailure:
        return reason.failure(f"{self._doing}: {' '.join(reason.words.split()).rstrip('.')}.", remedy=reason.remedy)

    def late(self) -> ProviderFailure:
        """What to say when the time is over: why it did not go on, as far as that is known."""
        if self.last is not None and self._since is not None:
            return self.failure(self.last)
        words = f": {self.warning.rstrip('.')}" if self.warning else ""
        remedy = "Raise timeouts of the resource, or see kubectl describe."
        return OperationTimedOut(f"{self._doing} in time{words}.", remedy=remedy)

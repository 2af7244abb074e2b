"""A job that this process holds the lease of: every call about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stead.api.errors import SteadError
from stead.api.policies import Plan
from stead.domain.policies import Verdict
from stead.domain.tasks import BuildTask, ImportTask, Leftover
from stead.protocol import messages
from stead.protocol.messages import Found, Grant, Line, failure_of
from stead.provisioner.link import Link
from stead.terraform.document import Document

JUDGEMENT_DEADLINE = 120.0  # seconds; each policy has a shorter one of its own, and counts as a denial after it


class HeldJob:
    """Whoever lost the lease gets :class:`stead.api.errors.LeaseLost`, and nothing was written."""

    def __init__(self, link: Link, grant: Grant) -> None:
        self._link = link
        self.lease = grant.lease
        self.id = grant.job_id
        self.kind = grant.kind

    def load(self) -> BuildTask | ImportTask:
        """Everything that the job needs.

        :raises NotFound: what the job was about is gone.
        """
        loaded = self._link.call(messages.Load(self.lease))
        task = loaded.build or loaded.imported
        if task is None:
            raise SteadError("The control plane did not say what the job is about.")
        return task

    def harvest(self, state: bytes) -> None:
        """A dead run of the job has left this state; it is kept, if it is newer than what is known."""
        self._link.call(messages.Harvest(self.lease, state))

    def stage(self, stage: str) -> None:
        self._link.call(messages.Stage(self.lease, stage))

    def log(self, lines: Sequence[Line]) -> None:
        self._link.call(messages.Log(self.lease, tuple(lines)))

    # The journal: each call is committed when it returns.

    def intend(self, key: str, provider: str, type_name: str, address_hint: str) -> None:
        self._link.call(messages.Intend(self.lease, key, provider, type_name, address_hint))

    def created(self, key: str, identity: str, state_json: str) -> None:
        self._link.call(messages.Created(self.lease, key, identity, state_json))

    def failed(self, key: str) -> None:
        self._link.call(messages.NotCreated(self.lease, key))

    def deleted(self, key: str) -> None:
        self._link.call(messages.Deleted(self.lease, key))

    def leftovers(self) -> tuple[Leftover, ...]:
        """What the journal knows of the job's workspace and no stored state covers."""
        return self._link.call(messages.LeftOver(self.lease)).items

    def forget(self, keys: Sequence[str]) -> None:
        self._link.call(messages.Forget(self.lease, tuple(keys)))

    def judge(self, plan: Plan) -> Verdict:
        """What the policies say to the plan; whoever gets no answer has no consent."""
        return self._link.call(messages.Judge(self.lease, plan), JUDGEMENT_DEADLINE).verdict

    def shut_down_agents(self) -> None:
        self._link.call(messages.ShutDown(self.lease))

    def agents_to_shut_down(self) -> tuple[str, ...]:
        """Names of the agents that have not run their shutdown scripts."""
        return self._link.call(messages.Outstanding(self.lease)).names

    def init_script(self, os: str, arch: str) -> str:
        """The bootstrap script of agents.

        :raises Unavailable: no bundle was built for that.
        """
        return self._link.call(messages.InitScript(self.lease, os, arch)).text

    # Its end

    def complete(
        self, state: bytes | None, document: Document, parameters: Mapping[str, str], daily_cost: int = 0
    ) -> None:
        self._link.call(messages.Complete(self.lease, state, document, parameters, daily_cost))

    def complete_import(self, found: Found) -> None:
        self._link.call(messages.CompleteImport(self.lease, found))

    def fail(self, error: SteadError, state: bytes | None = None) -> None:
        """
        :param state: the Terraform state as far as it got; what it holds is not lost.
        """
        self._link.call(messages.Fail(self.lease, failure_of(error), state))

    def release(self, state: bytes | None = None) -> None:
        self._link.call(messages.Release(self.lease, state))

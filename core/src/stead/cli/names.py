"""What people call workspaces: ``dev``, ``alice/dev``, and for SSH the host names made from them.

A host name is ``WORKSPACE.stead`` (one's own), ``WORKSPACE.OWNER.stead`` or ``AGENT.WORKSPACE.OWNER.stead``:
the names that the agent's host certificate carries.
"""

from __future__ import annotations

from typing import NamedTuple

from stead.cli.failures import usage_error

SUFFIX = ".stead"

_LABEL_LENGTH = 64


class Target(NamedTuple):
    """A workspace, and which of its agents. ``owner`` and ``agent`` are None where they go without saying."""

    workspace: str
    owner: str | None = None
    agent: str | None = None

    @property
    def ref(self) -> str:
        """The workspace as the API names it."""
        return f"{self.owner}/{self.workspace}" if self.owner else self.workspace

    def host(self, me: str) -> str:
        """The host name for SSH; ``me`` is the username to name where an agent is."""
        if self.agent:
            return f"{self.agent}.{self.workspace}.{self.owner or me}{SUFFIX}"
        return f"{self.workspace}.{self.owner}{SUFFIX}" if self.owner else f"{self.workspace}{SUFFIX}"


def parse_target(text: str, agent: str | None = None) -> Target:
    """``dev``, ``alice/dev``, or a host name of SSH.

    :param agent: an agent that was named apart.
    :raises CliError: it is none of these.
    """
    found = parse_host(text) if text.lower().endswith(SUFFIX) else _parse_ref(text)
    return Target(found.workspace, found.owner, agent or found.agent)


def parse_host(host: str) -> Target:
    """A host name that ends in ``.stead``.

    :raises CliError: it is not one.
    """
    labels = host.lower().removesuffix(SUFFIX).split(".")
    if not host.lower().endswith(SUFFIX) or len(labels) > 3:
        raise _bad(host)
    for label in labels:
        _checked(label, host)
    labels.reverse()
    if len(labels) == 1:
        return Target(labels[0])
    return Target(labels[1], labels[0], labels[2] if len(labels) == 3 else None)


def _parse_ref(text: str) -> Target:
    owner, slash, workspace = text.rpartition("/")
    _checked(workspace, text)
    if slash:
        _checked(owner, text)
    return Target(workspace, owner or None)


def _checked(label: str, whole: str) -> None:
    """Letters and digits, and ``_`` and ``-`` between them. Without a pattern: connections import no ``re``."""
    inner = label.replace("_", "").replace("-", "")
    edges = label[:1].isalnum() and label[-1:].isalnum()
    if not (label.isascii() and inner.isalnum() and edges and len(label) <= _LABEL_LENGTH):
        raise _bad(whole)


def _bad(text: str) -> Exception:
    return usage_error(
        f"{text!r} does not name a workspace.",
        field="workspace",
        remedy="Write NAME, OWNER/NAME, NAME.stead, NAME.OWNER.stead or AGENT.NAME.OWNER.stead.",
    )

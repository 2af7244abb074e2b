"""Exceptions of SSH as Stead's own."""

from __future__ import annotations

from fabric.exceptions import GroupException, InvalidV1Env, NothingToDo
from invoke import exceptions as invoke_errors
from paramiko import ssh_exception as ssh
from paramiko.hostkeys import InvalidHostKey

from stead.api.errors import CredentialsRejected, OperationTimedOut, PlatformUnreachable, ProviderFailure

INVOKE_ERRORS = (
    invoke_errors.AmbiguousEnvVar,
    invoke_errors.CollectionNotFound,
    invoke_errors.Exit,
    invoke_errors.Failure,
    invoke_errors.ParseError,
    invoke_errors.PlatformError,
    invoke_errors.SubprocessPipeError,
    invoke_errors.ThreadException,
    invoke_errors.UncastableEnvVar,
    invoke_errors.UnknownFileType,
    invoke_errors.UnpicklableConfigMember,
    invoke_errors.WatcherError,
)
SDK_ERRORS = (
    ssh.SSHException,
    InvalidHostKey,
    OSError,
    EOFError,
    GroupException,
    InvalidV1Env,
    NothingToDo,
    *INVOKE_ERRORS,
)
UNKNOWN_KEY = "not found in known_hosts"


class NotConnected(PlatformUnreachable):
    """Nothing was sent to the machine."""


class AnswerLost(PlatformUnreachable):
    """The connection ended before the answer: the machine may or may not have done what it was asked."""


class HostKeyRefused(CredentialsRejected):
    """The machine is not the one that is known, or none is known."""


def translate(error: Exception, who: str) -> ProviderFailure:
    """:param who: the machine, as a person knows it: ``m1 (10.0.0.1)``."""
    if isinstance(error, ssh.SSHException) and UNKNOWN_KEY in str(error):
        return HostKeyRefused(
            f"The host key of {who} is not known, so it is not trusted.",
            remedy="Put it into host_keys of the inventory, or into known_hosts, after comparing it on the machine.",
        )
    cause = (str(error) or type(error).__name__).rstrip(".")
    for kinds, failure, text, remedy in MEANINGS:
        if isinstance(error, kinds):
            return failure(text.format(who=who, cause=cause), remedy=remedy)
    return ProviderFailure(f"{who} could not be asked: {type(error).__name__}.")


LOOK = "Check that it is on and that this machine reaches its SSH port."
Kinds = tuple[type[Exception], ...]
# The first that fits counts: the classes of paramiko and of the operating system inherit from each other.
MEANINGS: tuple[tuple[Kinds, type[ProviderFailure], str, str | None], ...] = (
    (
        (ssh.BadHostKeyException,),
        HostKeyRefused,
        "{who} shows another host key than the known one: it is another machine, or somebody is in between.",
        "Where the machine was installed anew, replace its key in the inventory or in known_hosts.",
    ),
    (
        (ssh.PasswordRequiredException,),
        CredentialsRejected,
        "The private key for {who} is locked with a passphrase.",
        "Use one without, in key_file.",
    ),
    (
        (ssh.AuthenticationException,),
        CredentialsRejected,
        "{who} does not accept the key that Stead signs in with.",
        "Run `python -m stead_baremetal.policy --setup` for it and execute the result there as root.",
    ),
    ((TimeoutError, invoke_errors.CommandTimedOut), NotConnected, "{who} does not answer in time.", LOOK),
    (
        (ssh.IncompatiblePeer, ssh.ConfigParseError, ssh.CouldNotCanonicalize, ssh.MessageOrderError),
        ProviderFailure,
        "{who} and this machine have no way of SSH in common: {cause}.",
        None,
    ),
    (
        (InvalidHostKey,),
        ProviderFailure,
        "A line of the known hosts is damaged, so {who} cannot be recognized.",
        "Correct it.",
    ),
    ((ssh.SSHException, OSError, EOFError), NotConnected, "{who} cannot be reached over SSH: {cause}.", LOOK),
)


def timed_out(who: str, seconds: float) -> OperationTimedOut:
    return OperationTimedOut(
        f"{who} did not finish within {seconds:.0f} s.", remedy="Look at the machine; then try again."
    )

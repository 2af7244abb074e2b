"""What comes out of a sign-in: an account, and how it was proven to be theirs."""

from __future__ import annotations

from dataclasses import dataclass

from stead.domain.records import User


@dataclass(frozen=True)
class Proof:
    """Somebody is who they say. It opens nothing by itself: ``authentication.open_session`` does.

    :param provider: name of the identity provider; empty where Stead's own password was right. A further factor is
        asked for between the proof and the session, and only where this is empty: a provider has its own.
    :param session: the provider's name of its sign-in, to be ended from there.
    """

    user: User
    provider: str = ""
    session: str = ""

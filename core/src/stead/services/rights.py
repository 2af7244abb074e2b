"""How rights end: sessions and tokens go at once, and connections that are open are told to look again."""

from __future__ import annotations

from stead.services.core import Change
from stead.store import credentials, factors

TOPIC = "rights"  # rights:USER_ID


def end(change: Change, user_id: str, *, but_session: str | None = None) -> None:
    """Within a transaction: every session, token and half sign-in of a user ends, and with them what they have open.

    :param but_session: id of the session that stays.
    """
    credentials.delete_sessions_of(user_id, but=but_session)
    credentials.delete_tokens_of(user_id)
    factors.delete_steps_of(user_id)
    look_again(change, user_id)


def look_again(change: Change, user_id: str) -> None:
    """Within a transaction: connections of this user are to check whether they still may, once this is committed."""
    change.announce(f"{TOPIC}:{user_id}")

"""Queries on instance identity: challenges, and what was used up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stead.models import ChallengeRow, ReplayRow

LONGEST_NAME = 200


@dataclass(frozen=True)
class Challenge:
    """What an agent was asked. It is no secret, but nobody else's business either."""

    id: str
    auth: str
    challenge: str = field(repr=False)
    address: str
    created_at: datetime
    expires_at: datetime


def insert_challenge(new: Challenge) -> None:
    ChallengeRow.insert(
        id=new.id,
        auth=new.auth,
        challenge=new.challenge,
        address=new.address,
        created_at=new.created_at,
        expires_at=new.expires_at,
    ).execute()


def challenges_from(address: str, since: datetime) -> int:
    """How many challenges an address was given since a time, used or not."""
    query = ChallengeRow.select().where((ChallengeRow.address == address) & (ChallengeRow.created_at >= since))
    return int(query.count())


def take_challenge(challenge_id: str, at: datetime) -> Challenge | None:
    """Use a challenge up; ``None`` where there is none, or it is over, or it was taken. Of many callers one gets it."""
    fresh = (ChallengeRow.id == challenge_id) & ChallengeRow.used_at.is_null() & (ChallengeRow.expires_at > at)
    if ChallengeRow.update(used_at=at).where(fresh).execute() != 1:
        return None
    row: Any = ChallengeRow.get(ChallengeRow.id == challenge_id)
    return Challenge(row.id, row.auth, row.challenge, row.address, row.created_at, row.expires_at)


def insert_replay(name: str, until: datetime | None, at: datetime) -> None:
    """Remember something that is accepted once; a unique index refuses it the second time."""
    key = name if len(name) <= LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()
    ReplayRow.delete().where((ReplayRow.name == key) & (ReplayRow.until <= at)).execute()
    ReplayRow.insert(name=key, until=until).execute()


def delete_expired(at: datetime, challenges_before: datetime) -> None:
    """Forget what no longer counts. Challenges stay a while beyond their end: they also count attempts."""
    ChallengeRow.delete().where(ChallengeRow.expires_at <= challenges_before).execute()
    ReplayRow.delete().where(ReplayRow.until.is_null(False) & (ReplayRow.until <= at)).execute()

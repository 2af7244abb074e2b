"""Instance identity: the challenges that were given out, and what was used up."""

from __future__ import annotations

import peewee

from stead.models.base import IdField, Table, TimeField


class ChallengeRow(Table):
    """Good for one attempt: ``used_at`` says that it was made."""

    id = IdField(primary_key=True)
    auth = peewee.CharField(max_length=32)
    challenge = peewee.CharField(max_length=255)
    address = peewee.CharField(max_length=64, index=True)
    created_at = TimeField()
    expires_at = TimeField(index=True)
    used_at = TimeField(null=True)

    class Meta:
        table_name = "identity_challenges"


class ReplayRow(Table):
    """Something that is accepted once; without ``until`` it is remembered for ever."""

    name = peewee.CharField(max_length=255, primary_key=True)
    until = TimeField(null=True, index=True)

    class Meta:
        table_name = "identity_replays"

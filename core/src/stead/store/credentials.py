"""Queries on web sessions, API tokens and failed logins. Secrets are here as hashes only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stead.domain.records import Session, Token
from stead.models import LoginFailureRow, SessionRow, TokenRow, UserRow


@dataclass(frozen=True)
class StoredSession:
    id: str
    user_id: str
    secret_hash: str = field(repr=False)
    last_used_at: datetime
    expires_at: datetime
    provider: str = ""
    provider_session: str = ""


@dataclass(frozen=True)
class StoredToken:
    token: Token
    secret_hash: str = field(repr=False)


def insert_session(session: StoredSession, address: str, user_agent: str, at: datetime) -> None:
    SessionRow.insert(
        id=session.id,
        user_id=session.user_id,
        secret_hash=session.secret_hash,
        address=address,
        user_agent=user_agent,
        created_at=at,
        last_used_at=session.last_used_at,
        expires_at=session.expires_at,
        provider=session.provider,
        provider_session=session.provider_session or None,
    ).execute()


def session(session_id: str) -> StoredSession | None:
    row = SessionRow.get_or_none(SessionRow.id == session_id)
    if row is None:
        return None
    return StoredSession(
        row.id,
        row.user_id,
        row.secret_hash,
        row.last_used_at,
        row.expires_at,
        row.provider,
        row.provider_session or "",
    )


def sessions_of(user_id: str, at: datetime) -> list[Session]:
    """The sessions that have not expired, last used first."""
    live = (SessionRow.user_id == user_id) & (SessionRow.expires_at > at)
    return [
        Session(
            id=row.id,
            user_id=row.user_id,
            address=row.address,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            provider=row.provider,
        )
        for row in SessionRow.select().where(live).order_by(SessionRow.last_used_at.desc()).limit(200)
    ]


def delete_sessions_at(provider: str, user_id: str = "", provider_session: str = "") -> list[str]:
    """End sessions that a provider let in; returns whose they were.

    :param user_id: those of this user only.
    :param provider_session: those of this session at the provider only.
    """
    where = SessionRow.provider == provider
    if user_id:
        where &= SessionRow.user_id == user_id
    if provider_session:
        where &= SessionRow.provider_session == provider_session
    ended = sorted({row[0] for row in SessionRow.select(SessionRow.user_id).where(where).tuples()})
    SessionRow.delete().where(where).execute()
    return ended


def users_of_other_providers(trusted: Iterable[str], limit: int) -> list[tuple[str, str, str]]:
    """Id, username and provider of people with sessions whose provider is none of these."""
    query = (
        UserRow.select(UserRow.id, UserRow.username, UserRow.provider)
        .join(SessionRow, on=(SessionRow.user_id == UserRow.id))
        .where((UserRow.provider != "") & UserRow.provider.not_in(sorted(trusted)))
        .distinct()
        .limit(limit)
    )
    return [(user_id, username, provider) for user_id, username, provider in query.tuples()]


def extend_session(session_id: str, used_at: datetime, expires_at: datetime) -> None:
    SessionRow.update(last_used_at=used_at, expires_at=expires_at).where(SessionRow.id == session_id).execute()


def delete_session(session_id: str) -> None:
    SessionRow.delete().where(SessionRow.id == session_id).execute()


def delete_sessions_of(user_id: str, *, but: str | None = None) -> int:
    """How many there were, but for the one that stays."""
    deleted = SessionRow.delete().where((SessionRow.user_id == user_id) & (SessionRow.id != (but or ""))).execute()
    return int(deleted)


def insert_token(token: Token, secret_hash: str) -> None:
    TokenRow.insert(
        id=token.id,
        user_id=token.user_id,
        name=token.name,
        scope=token.scope,
        secret_hash=secret_hash,
        created_at=token.created_at,
        expires_at=token.expires_at,
    ).execute()


def token(token_id: str) -> StoredToken | None:
    row = TokenRow.get_or_none(TokenRow.id == token_id)
    return StoredToken(_token(row), row.secret_hash) if row else None


def token_named(user_id: str, name: str) -> Token | None:
    row = TokenRow.get_or_none((TokenRow.user_id == user_id) & (TokenRow.name == name))
    return _token(row) if row else None


def tokens_of(user_id: str) -> list[Token]:
    return [_token(row) for row in TokenRow.select().where(TokenRow.user_id == user_id).order_by(TokenRow.name)]


def touch_token(token_id: str, at: datetime) -> None:
    TokenRow.update(last_used_at=at).where(TokenRow.id == token_id).execute()


def delete_token(token_id: str) -> None:
    TokenRow.delete().where(TokenRow.id == token_id).execute()


def delete_tokens_of(user_id: str) -> None:
    TokenRow.delete().where(TokenRow.user_id == user_id).execute()


def delete_expired(at: datetime, failures_before: datetime) -> int:
    """Remove sessions and tokens whose time is over, and failed logins that no longer count."""
    removed = SessionRow.delete().where(SessionRow.expires_at <= at).execute()
    removed += TokenRow.delete().where(TokenRow.expires_at.is_null(False) & (TokenRow.expires_at <= at)).execute()
    LoginFailureRow.delete().where(LoginFailureRow.at < failures_before).execute()
    return int(removed)


def note_failure(account: str, address: str, at: datetime) -> None:
    LoginFailureRow.insert(account=account, address=address, at=at).execute()


def failures(account: str, address: str, since: datetime) -> tuple[int, int]:
    """Failed logins since a time: those on the account, those from the address."""
    recent = LoginFailureRow.select().where(LoginFailureRow.at >= since)
    on_account = recent.where(LoginFailureRow.account == account).count()
    from_address = recent.where(LoginFailureRow.address == address).count() if address else 0
    return int(on_account), int(from_address)


def forget_failures(account: str) -> None:
    LoginFailureRow.delete().where(LoginFailureRow.account == account).execute()


def _token(row: Any) -> Token:
    return Token(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        scope=row.scope,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )

"""Puts together who somebody is, of the ID token, userinfo and the directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from stead.api import Link, Person, Trace
from stead_oidc import claims as reading
from stead_oidc.directories import GroupDirectory
from stead_oidc.settings import OidcSettings

Claims = Mapping[str, Any]


class People:
    """Persons of one provider.

    :param directory: asked for groups that are not in the claims.
    """

    def __init__(self, settings: OidcSettings, directory: GroupDirectory | None) -> None:
        self._settings = settings
        self._directory = directory

    def person(
        self,
        identity: Claims | None,
        userinfo: Claims | None,
        kept: dict[str, str],
        trace: Trace,
        link: Link | None = None,
    ) -> Person:
        """The person of these claims, who may come in.

        :param identity: of the ID token; ``None`` where a refresh brought none.
        :param userinfo: ``None`` where it was not asked for.
        :param link: of the last sign-in, at a look-up.
        :raises AuthenticationFailed: they may not come in.
        """
        settings = self._settings
        # Userinfo is asked at this moment and counts first; who it is stays with the ID token.
        documents = [claims for claims in (userinfo, identity) if claims is not None]
        main = identity if identity is not None else documents[0]
        address = reading.email(documents, settings)
        if link is not None and not address.address:
            address = _as_before(link)
        key = self._key(documents) or Seen.of(link).directory_key
        groups, source = self._groups(identity, userinfo, key, link, trace)
        person = Person(
            issuer=settings.issuer,
            subject=str(main["sub"]),
            username=reading.text(documents, settings.username_claim)
            or (link.username if link else address.address.partition("@")[0]),
            email=address.address,
            email_verified=address.verified,
            name=reading.text(documents, settings.name_claim),
            groups=groups,
            roles=self._roles(documents, trace),
            session=reading.text((main,), "sid") or (link.session if link else ""),
            kept={**kept, **Seen(key, source, address.verified).kept()},
            facts=reading.facts(documents),
        )
        trace.note("Person", f"{person.username or person.subject} <{person.email}>, {_vouched(address)}")
        reading.check_allowed(settings, address, groups, trace, later=link is not None)
        return person

    def known(self, link: Link, trace: Trace, kept: Mapping[str, str] | None = None) -> Person:
        """Somebody whose claims cannot be had now, as the directory has them."""
        groups = self._asked(Seen.of(link).directory_key, trace)
        reading.check_allowed(self._settings, _as_before(link), groups, trace, later=True)
        person = Person(
            issuer=link.issuer,
            subject=link.subject,
            username=link.username,
            email=link.email,
            email_verified=_as_before(link).verified,
            groups=groups,
            session=link.session,
            kept={**link.kept, **(kept or {})},
        )
        return person if kept is not None else replace(person, kept=_without_refresh(person.kept))

    def _key(self, documents: Sequence[Claims]) -> str:
        if self._directory is None:
            return ""
        return next((key for claims in reversed(documents) if (key := self._directory.key(claims))), "")

    def _groups(
        self, identity: Claims | None, userinfo: Claims | None, key: str, link: Link | None, trace: Trace
    ) -> tuple[tuple[str, ...] | None, str]:
        """The groups, and which document had them (remembered for look-ups, which may lack one of the two)."""
        path = self._settings.groups_claim
        if path:
            for source, claims in (("id_token", identity), ("userinfo", userinfo)):
                found = reading.find(claims, path) if claims is not None else reading.MISSING
                if found is not reading.MISSING:
                    names = reading.names(found, self._settings.max_groups)
                    trace.note("Groups", f"{len(names)} in {path} of {source}: {_some(names)}")
                    return names, source
        if self._directory is not None:
            return self._asked(key, trace), "directory"
        if not path:
            return None, ""
        return self._missing(path, identity, userinfo, link, trace)

    def _missing(
        self, path: str, identity: Claims | None, userinfo: Claims | None, link: Link | None, trace: Trace
    ) -> tuple[tuple[str, ...] | None, str]:
        """The claim is not there: no groups, or not told?"""
        before = Seen.of(link).groups_from
        pointed = identity.get("_claim_names") if identity is not None else None
        if isinstance(pointed, Mapping) and path in pointed:
            trace.note("Groups", "too many for the token; set group_lookup to ask for them", ok=False)
            return None, before
        expected = before or "id_token"
        if {"id_token": identity, "userinfo": userinfo}.get(expected) is None:
            trace.note("Groups", "not told this time", ok=False)
            return None, before
        trace.note("Groups", f"no claim {path}: in no group")
        return (), before

    def _asked(self, key: str, trace: Trace) -> tuple[str, ...] | None:
        if self._directory is None:
            return None
        if not key:
            trace.note("Directory", "the claims do not say who it is there", ok=False)
            return None
        groups = self._directory.groups(key)
        trace.note("Directory", f"{len(groups)} groups: {_some(groups)}")
        return groups

    def _roles(self, documents: Sequence[Claims], trace: Trace) -> tuple[str, ...]:
        path = self._settings.roles_claim
        for claims in documents if path else ():
            found = reading.find(claims, path)
            if found is not reading.MISSING:
                roles = reading.names(found, self._settings.max_groups)
                trace.note("Roles", _some(roles))
                return roles
        return ()


@dataclass(frozen=True)
class Seen:
    """What a look-up must know of the last sign-in, beside the tokens.

    :param directory_key: who it is in the directory beside the provider.
    :param groups_from: which document had the groups: a refresh may bring only one of them.
    """

    directory_key: str = ""
    groups_from: str = ""
    email_verified: bool = False

    @classmethod
    def of(cls, link: Link | None) -> Seen:
        found = json.loads(link.kept.get("seen", "{}")) if link is not None else {}
        return cls(
            str(found.get("directory_key", "")),
            str(found.get("groups_from", "")),
            found.get("email_verified") is True,
        )

    def kept(self) -> dict[str, str]:
        return {"seen": json.dumps(asdict(self))}


def _as_before(link: Link) -> reading.Email:
    return reading.Email(link.email, Seen.of(link).email_verified)


def _without_refresh(kept: Mapping[str, str]) -> dict[str, str]:
    """A refresh token that was refused is not tried again."""
    return {name: value for name, value in kept.items() if name != "refresh_token"}


def _vouched(address: reading.Email) -> str:
    return "an address that the provider vouches for" if address.verified else "an address that nobody vouches for"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") or "none"

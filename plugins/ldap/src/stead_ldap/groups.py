"""The groups of a person, with the groups that those are in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import sansldap

from stead_ldap.names import first_of, same_dn
from stead_ldap.settings import Groups, LdapSettings
from stead_ldap.wire import Entry, Found, Query

IN_CHAIN = "1.2.840.113556.1.4.1941"  # Active Directory: the server itself follows groups in groups
BY_USERNAME = "memberuid"
BATCH = 50  # distinguished names in one filter


class Reader(Protocol):
    """Asks the directory."""

    def search(self, query: Query) -> Found: ...


@dataclass(frozen=True)
class Group:
    dn: str
    name: str


@dataclass
class Membership:
    """``cut_short``: there are more than the bounds of the settings, or than the server gives."""

    groups: dict[str, Group] = field(default_factory=dict)
    levels: int = 0
    cut_short: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({group.name for group in self.groups.values()}))

    def allows(self, wanted: Iterable[str]) -> bool:
        """Whether one of ``wanted``, names or distinguished names, is among them."""
        names = {group.name.casefold() for group in self.groups.values()}
        return any(item.casefold() in names or same_dn(item) in self.groups for item in wanted)


class GroupFinder:
    """Finds groups as the settings say."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._filter = sansldap.LDAPFilter.from_string(settings.group_filter)
        self._named_by_dn = settings.group_name.lower() == "dn"

    def of(self, reader: Reader, entry: Entry) -> Membership | None:
        """All groups of ``entry``; ``None`` where the settings say that none are asked for."""
        how = self._settings.group_search
        if how is Groups.NONE:
            return None
        membership = Membership()
        if how is Groups.MATCHING_RULE:
            self._by_rule(reader, entry, membership)
        elif how is Groups.MEMBER_OF:
            self._by_attribute(reader, entry, membership)
        else:
            self._by_search(reader, entry, membership)
        return membership

    # ---- the server follows groups in groups

    def _by_rule(self, reader: Reader, entry: Entry, membership: Membership) -> None:
        if self._settings.nested:
            member: sansldap.LDAPFilter = sansldap.FilterExtensibleMatch(IN_CHAIN, "member", entry.dn.encode(), False)
        else:
            member = sansldap.FilterEquality("member", entry.dn.encode())
        self._take(reader.search(self._query(member)), membership)
        membership.levels = 1

    # ---- we do

    def _by_search(self, reader: Reader, entry: Entry, membership: Membership) -> None:
        username = entry.first(self._settings.username)
        direct = self._members([entry.dn])
        if self._by_name and username:
            direct += [sansldap.FilterEquality(name, username.encode()) for name in self._by_name]
        new = self._take(reader.search(self._query(sansldap.FilterOr(direct))), membership)
        self._climb(reader, new, membership)

    def _by_attribute(self, reader: Reader, entry: Entry, membership: Membership) -> None:
        new = []
        for dn in entry.values("memberOf"):
            if len(membership.groups) >= self._settings.max_groups:
                membership.cut_short = True
                break
            group = Group(dn, self._name_of(reader, dn))
            membership.groups[same_dn(dn)] = group
            new.append(group)
        self._climb(reader, new, membership)

    def _climb(self, reader: Reader, new: list[Group], membership: Membership) -> None:
        """Ask level by level for the groups of the groups. Each group counts once, so that a circle ends."""
        membership.levels = 1
        while new and self._settings.nested and not membership.cut_short:
            if membership.levels >= self._settings.nesting:
                membership.cut_short = True
                return
            above: list[Group] = []
            for batch in _batches(new):
                members = self._members(group.dn for group in batch)
                above += self._take(reader.search(self._query(sansldap.FilterOr(members))), membership)
                if membership.cut_short:
                    return
            new = above
            membership.levels += bool(new)

    def _members(self, names: Iterable[str]) -> list[sansldap.LDAPFilter]:
        by_dn = [name for name in self._settings.group_members if name.lower() != BY_USERNAME]
        return [sansldap.FilterEquality(attribute, name.encode()) for name in names for attribute in by_dn]

    @property
    def _by_name(self) -> list[str]:
        return [name for name in self._settings.group_members if name.lower() == BY_USERNAME]

    # ---- entries to groups

    def _query(self, member: sansldap.LDAPFilter) -> Query:
        settings = self._settings
        return Query(
            base=settings.group_base,
            filter=sansldap.FilterAnd([self._filter, member]),
            attributes=("1.1",) if self._named_by_dn else (settings.group_name,),
            # Groups that are known already come again, but for those beyond the bound.
            limit=settings.max_groups,
            page=settings.page_size,
        )

    def _take(self, found: Found, membership: Membership) -> list[Group]:
        """Add what is new, and return that."""
        new = []
        for entry in found.entries:
            key = same_dn(entry.dn)
            if key in membership.groups:
                continue
            if len(membership.groups) >= self._settings.max_groups:
                membership.cut_short = True
                break
            group = Group(entry.dn, self._named(entry))
            membership.groups[key] = group
            new.append(group)
        membership.cut_short |= found.cut_short
        return new

    def _named(self, entry: Entry) -> str:
        return entry.dn if self._named_by_dn else entry.first(self._settings.group_name) or entry.dn

    def _name_of(self, reader: Reader, dn: str) -> str:
        attribute, value = first_of(dn)
        if self._named_by_dn:
            return dn
        if attribute == self._settings.group_name.lower() and value:
            return value
        query = Query(
            dn,
            sansldap.FilterPresent("objectClass"),
            (self._settings.group_name,),
            limit=1,
            scope=sansldap.SearchScope.BASE,
        )
        return next((self._named(entry) for entry in reader.search(query).entries), dn)


def _batches(groups: list[Group]) -> Iterator[list[Group]]:
    for start in range(0, len(groups), BATCH):
        yield groups[start : start + BATCH]

"""What the groups and roles that an identity provider names are worth here.

Patterns are globs (``team-*``), not regular expressions: whoever names a group at a provider must not be able to
make us think for long.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from stead.domain.states import Role

LONGEST_PATTERN = 200
MOST_WILDCARDS = 8
MOST_GROUPS = 20_000
LONGEST_GROUP = 255


def check_pattern(pattern: str) -> str:
    """The pattern, where it is one that may be used.

    :raises ValueError: it is empty, too long, or has too many wildcards.
    """
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern has 1 to {LONGEST_PATTERN} characters")
    if sum(pattern.count(wildcard) for wildcard in "*?[") > MOST_WILDCARDS:
        raise ValueError(f"the pattern {pattern!r} has more than {MOST_WILDCARDS} wildcards")
    return pattern


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a name matches any of the patterns, by case."""
    plain = {pattern for pattern in patterns if not set(pattern) & set("*?[")}
    # fnmatch compiles a glob so that it does not go back over what it has passed.
    compiled = [re.compile(fnmatch.translate(pattern)) for pattern in patterns if pattern not in plain]
    return lambda name: name in plain or any(one.match(name) for one in compiled)


def usable(names: Iterable[str]) -> tuple[str, ...]:
    """Group names without those that could not be stored or shown, and no more than are taken at all."""
    found = dict.fromkeys(name for name in names if 0 < len(name) <= LONGEST_GROUP and name.isprintable())
    return tuple(found)[:MOST_GROUPS]


@dataclass(frozen=True)
class Rules:
    """How an administrator wants a provider's groups and roles to be read.

    :param groups: provider's group (or a pattern of them) to the name of a group here.
    :param patterns: groups that are taken over under their own name.
    :param roles: provider's group or role (or a pattern) to roles here.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[str, ...] = ("*",)
    default_groups: tuple[str, ...] = ()
    roles: Mapping[str, tuple[Role, ...]] = field(default_factory=dict)
    default_roles: tuple[Role, ...] = ()

    def groups_of(self, names: Iterable[str]) -> frozenset[str]:
        """Names of the groups here."""
        targets = [(matcher([pattern]), name) for pattern, name in self.groups.items()]
        taken = matcher(self.patterns)
        found = set(self.default_groups)
        for name in usable(names):
            mapped = {target for matches, target in targets if matches(name)}
            found |= mapped or ({name} if taken(name) else set())
        return frozenset(found)

    def roles_of(self, groups: Iterable[str], roles: Iterable[str]) -> tuple[Role, ...]:
        """Roles here. Everybody is at least a member."""
        names = {*usable(groups), *usable(roles)}
        found = {Role.MEMBER, *self.default_roles}
        for pattern, given in self.roles.items():
            matches = matcher([pattern])
            if any(matches(name) for name in names):
                found.update(given)
        return tuple(role for role in Role if role in found)

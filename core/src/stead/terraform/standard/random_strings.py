"""``hashicorp/random``: strings and passwords."""

from __future__ import annotations

import random
import string
from typing import Self

import bcrypt

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, attribute, between
from stead.terraform.standard.random_values import KEEPERS
from stead.terraform.standard.virtual import Virtual

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_CLASSES = ("lower", "upper", "numeric", "special")


class _Characters(Virtual):
    """The arguments of both resources: which characters to draw from."""

    length: int = attribute(required=True, force_new=True, validators=[between(low=1)])
    lower: bool = attribute(default=True, force_new=True)
    upper: bool = attribute(default=True, force_new=True)
    numeric: bool = attribute(default=True, force_new=True)
    number: bool = attribute(
        default=True,
        force_new=True,
        deprecated="Use numeric instead",
        description="The old name of numeric: digits are drawn where neither says no.",
    )
    special: bool = attribute(default=True, force_new=True)
    min_lower: int = attribute(default=0, force_new=True, validators=[between(low=0)])
    min_upper: int = attribute(default=0, force_new=True, validators=[between(low=0)])
    min_numeric: int = attribute(default=0, force_new=True, validators=[between(low=0)])
    min_special: int = attribute(default=0, force_new=True, validators=[between(low=0)])
    override_special: str | None = attribute(
        optional=True, force_new=True, description="The special characters to use instead of the usual ones."
    )
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)

    def validate(self, context: Context) -> None:
        del context
        floors = [getattr(self, f"min_{name}") for name in _CLASSES]
        least = sum(value for value in floors if isinstance(value, int))
        if isinstance(self.length, int) and self.length < least:
            raise ProviderFailure(
                f"The length {self.length} is less than all the minimums together, {least}.", field="length"
            )
        if self.lower is self.upper is self.special is False and False in (self.numeric, self.number):
            raise ProviderFailure("No characters are left to draw from.", field="lower")

    def draw(self) -> str:
        """A random string with at least the asked-for number of each kind, in random order."""
        source = random.SystemRandom()
        pools = {
            "lower": string.ascii_lowercase,
            "upper": string.ascii_uppercase,
            "numeric": string.digits,
            "special": SPECIAL if self.override_special is None else self.override_special,
        }
        digits = self.numeric and self.number
        allowed = "".join(
            pool for name, pool in pools.items() if (digits if name == "numeric" else getattr(self, name))
        )
        if not allowed:
            raise ProviderFailure("No characters are left to draw from.", field="override_special")
        drawn: list[str] = []
        for name, pool in pools.items():
            drawn += source.choices(pool, k=getattr(self, f"min_{name}")) if pool else []
        drawn += source.choices(allowed, k=self.length - len(drawn))
        source.shuffle(drawn)
        return "".join(drawn)


class RandomString(_Characters, name="random_string"):
    """A random string that is no secret."""

    id: str = attribute(computed=True)
    result: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        self.validate(context)
        self.id = self.result = self.draw()

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self:
        """The string itself."""
        del context
        return cls(id=identity, result=identity, **_imported(identity))


class RandomPassword(_Characters, name="random_password"):
    """A random string that is a secret."""

    id: str = attribute(computed=True)
    result: str = attribute(computed=True, sensitive=True)
    bcrypt_hash: str = attribute(computed=True, sensitive=True)

    def create(self, context: Context) -> None:
        self.validate(context)
        self.id = "none"
        self.result = self.draw()
        self.bcrypt_hash = hashed(self.result)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self:
        """The password itself."""
        del context
        return cls(id="none", result=identity, bcrypt_hash=hashed(identity), **_imported(identity))


def hashed(password: str) -> str:
    """A bcrypt hash. The function looks at 72 bytes at most."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(rounds=10)).decode()


def _imported(value: str) -> dict[str, object]:
    """What the arguments of an imported value must have been: the defaults."""
    switches: dict[str, object] = dict.fromkeys((*_CLASSES, "number"), True)
    return {**switches, **{f"min_{name}": 0 for name in _CLASSES}, "length": len(value)}

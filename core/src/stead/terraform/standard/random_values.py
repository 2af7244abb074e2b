"""``hashicorp/random``: values that are drawn once and then stay. Identifiers and numbers."""

from __future__ import annotations

import base64
import hashlib
import random
import secrets
import uuid
from collections.abc import Sequence
from typing import Self

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, attribute, between
from stead.terraform.standard.pet_words import ADJECTIVES, ADVERBS, ANIMALS
from stead.terraform.standard.virtual import Virtual

KEEPERS = "Any values; a change of one of them draws again."


class RandomId(Virtual, name="random_id"):
    """Random bytes in several writings, with a prefix."""

    id: str = attribute(computed=True)
    byte_length: int = attribute(required=True, force_new=True, validators=[between(low=1)])
    prefix: str | None = attribute(optional=True, force_new=True)
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)
    b64_url: str = attribute(computed=True)
    b64_std: str = attribute(computed=True)
    hex: str = attribute(computed=True)
    dec: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        del context
        self._write(secrets.token_bytes(self.byte_length))

    def _write(self, drawn: bytes) -> None:
        prefix = self.prefix or ""
        self.id = base64.urlsafe_b64encode(drawn).rstrip(b"=").decode()
        self.b64_url = prefix + self.id
        self.b64_std = prefix + base64.b64encode(drawn).decode()
        self.hex = prefix + drawn.hex()
        self.dec = prefix + str(int.from_bytes(drawn, "big"))

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self:
        """``ID`` or ``PREFIX,ID``, the id in URL-safe base64."""
        del context
        prefix, _, encoded = identity.rpartition(",")
        try:
            drawn = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            raise ProviderFailure(f"{encoded!r} is not URL-safe base64.") from None
        instance = cls(byte_length=len(drawn), prefix=prefix or None)
        instance._write(drawn)
        return instance


class RandomBytes(Virtual, name="random_bytes"):
    """Random bytes that are a secret."""

    length: int = attribute(required=True, force_new=True, validators=[between(low=1)])
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)
    base64: str = attribute(computed=True, sensitive=True)
    hex: str = attribute(computed=True, sensitive=True)

    def create(self, context: Context) -> None:
        del context
        self._write(secrets.token_bytes(self.length))

    def _write(self, drawn: bytes) -> None:
        self.base64 = base64.b64encode(drawn).decode()
        self.hex = drawn.hex()

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self:
        """The bytes in base64."""
        del context
        try:
            drawn = base64.b64decode(identity, validate=True)
        except ValueError:
            raise ProviderFailure("The bytes to import are not base64.") from None
        instance = cls(length=len(drawn))
        instance._write(drawn)
        return instance


class RandomUuid(Virtual, name="random_uuid"):
    """A random UUID."""

    id: str = attribute(computed=True)
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)
    result: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        del context
        self.id = self.result = str(uuid.uuid4())

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self:
        """The UUID."""
        del context
        try:
            value = str(uuid.UUID(identity))
        except ValueError:
            raise ProviderFailure(f"{identity!r} is not a UUID.") from None
        return cls(id=value, result=value)


class RandomInteger(Virtual, name="random_integer"):
    """A whole number from ``min`` to ``max``, both included."""

    id: str = attribute(computed=True)
    min: int = attribute(required=True, force_new=True)
    max: int = attribute(required=True, force_new=True)
    seed: str | None = attribute(optional=True, force_new=True, description="Draws the same number again and again.")
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)
    result: int = attribute(computed=True)

    def validate(self, context: Context) -> None:
        del context
        if isinstance(self.min, int) and isinstance(self.max, int) and self.min > self.max:
            raise ProviderFailure(f"min {self.min} is more than max {self.max}.", field="min")

    def create(self, context: Context) -> None:
        del context
        self.result = generator(self.seed).randint(self.min, self.max)
        self.id = str(self.result)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self:
        """``RESULT,MIN,MAX`` or ``RESULT,MIN,MAX,SEED``."""
        del context
        parts = identity.split(",", 3)
        try:
            result, low, high = (int(part) for part in parts[:3])
        except ValueError:
            raise ProviderFailure("Import a random_integer as RESULT,MIN,MAX or RESULT,MIN,MAX,SEED.") from None
        seed = parts[3] if len(parts) == 4 else None
        return cls(id=str(result), result=result, min=low, max=high, seed=seed)


class RandomShuffle(Virtual, name="random_shuffle"):
    """A list in random order, or a choice from it."""

    id: str = attribute(computed=True)
    input: list[str] = attribute(required=True, force_new=True)
    result_count: int | None = attribute(
        optional=True,
        force_new=True,
        validators=[between(low=0)],
        description="How many to take; more than there are repeats them, each as often as the others.",
    )
    seed: str | None = attribute(optional=True, force_new=True, description="Gives the same order again.")
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)
    result: list[str] = attribute(computed=True)

    def create(self, context: Context) -> None:
        del context
        self.id = "-"
        count = len(self.input) if self.result_count is None else self.result_count
        self.result = shuffled(self.input, count, generator(self.seed))


class RandomPet(Virtual, name="random_pet"):
    """A name that people can remember."""

    id: str = attribute(computed=True)
    length: int = attribute(default=2, force_new=True, validators=[between(low=1)], description="Words.")
    separator: str = attribute(default="-", force_new=True)
    prefix: str | None = attribute(optional=True, force_new=True)
    keepers: dict[str, str] | None = attribute(optional=True, force_new=True, description=KEEPERS)

    def create(self, context: Context) -> None:
        del context
        words = pet_words(self.length)
        self.id = self.separator.join([self.prefix, *words] if self.prefix else words)


def pet_words(count: int) -> list[str]:
    """Adverbs, an adjective and an animal: as many words as asked for, the animal last."""
    words = [secrets.choice(ADVERBS) for _ in range(count - 2)]
    if count > 1:
        words.append(secrets.choice(ADJECTIVES))
    return [*words, secrets.choice(ANIMALS)]


def shuffled(values: Sequence[str], count: int, source: random.Random) -> list[str]:
    """``count`` values; none repeats before all have been taken."""
    result: list[str] = []
    while values and len(result) < count:
        result += source.sample(values, len(values))
    return result[:count]


def generator(seed: str | None) -> random.Random:
    """Unpredictable without a seed, and always the same sequence with one."""
    if not seed:
        return random.SystemRandom()
    return random.Random(hashlib.sha256(seed.encode()).digest())  # noqa: S311  (a seed asks for the predictable)

"""``hashicorp/random``."""

from __future__ import annotations

from stead.api.provider import Provider
from stead.api.records import NoSettings, ProviderSpec
from stead.terraform.standard.random_strings import RandomPassword, RandomString
from stead.terraform.standard.random_values import (
    RandomBytes,
    RandomId,
    RandomInteger,
    RandomPet,
    RandomShuffle,
    RandomUuid,
)


class Random(
    Provider,
    address="hashicorp/random",
    resources=[
        RandomBytes,
        RandomId,
        RandomInteger,
        RandomPassword,
        RandomPet,
        RandomShuffle,
        RandomString,
        RandomUuid,
    ],
):
    """Values that are drawn once and then stay."""


def _make(settings: NoSettings) -> Random:
    del settings
    return Random()


def random_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/random", title="Random values", factory=_make)

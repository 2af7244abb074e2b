"""Functions that templates may call: ``provider::aws::hourly_price("t3.large", "eu-central-1")``."""

from __future__ import annotations

from collections.abc import Callable

from stead_aws.prices import bundled


def hourly_price(instance_type: str, region: str) -> float:
    """USD per hour of a machine of this type, from the bundled table; 0 where the table does not know it."""
    return bundled().machine(instance_type, region) or 0.0


def disk_price(volume_type: str, size: float, region: str) -> float:
    """USD per hour of a disk of so many GiB, from the bundled table; 0 where the table does not know it."""
    return bundled().disk(volume_type, size, region) or 0.0


FUNCTIONS: list[Callable[..., float]] = [hourly_price, disk_price]

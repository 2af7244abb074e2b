"""What the resources of a plan cost, from the price tables of the platforms."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from pydantic import BaseModel

from stead.api.policies import Plan, PlannedResource
from stead.api.records import Platform, PlatformSpec, Price
from stead.services.bounded import Bounded

log = logging.getLogger(__name__)

DEADLINE = 10.0  # seconds that pricing a plan may take
AT_ONCE = 8


class PriceBook:
    """The platforms' tables. A platform is made when the first plan is priced; making one may import its SDK."""

    def __init__(self, platforms: Iterable[tuple[PlatformSpec, BaseModel]]) -> None:
        self._specs = tuple(platforms)
        self._made: tuple[Platform, ...] | None = None
        self._making = threading.Lock()
        self._bounded = Bounded("stead-prices", AT_ONCE)

    def price(self, plan: Plan) -> Plan:
        """The plan with what is known of its prices; without any where the platforms do not answer in time."""
        bare = _with_prices(plan, lambda _: None)
        try:
            until = time.monotonic() + DEADLINE
            return self._bounded.ask(lambda: _with_prices(bare, self._price), until).get(until)
        except Exception:  # boundary: plugin calls
            log.warning("A plan could not be priced.", exc_info=True)
            return bare

    def _price(self, resource: PlannedResource) -> Price | None:
        if not resource.stays:
            return None
        for platform in self._platforms():
            try:
                found = platform.price(resource.type, resource.attributes)
            except Exception:  # boundary: a plugin call
                log.warning("%s cannot price a %s.", type(platform).__name__, resource.type, exc_info=True)
                continue
            if found is not None:
                return found
        return None

    def _platforms(self) -> tuple[Platform, ...]:
        with self._making:
            if self._made is None:
                made = [_platform(spec, settings) for spec, settings in self._specs]
                self._made = tuple(platform for platform in made if platform is not None)
            return self._made


def _with_prices(plan: Plan, price_of: Callable[[PlannedResource], Price | None]) -> Plan:
    """The plan with these prices and no others."""
    priced = []
    for resource in plan.resources:
        price = price_of(resource)
        known = {"hourly": price.hourly if price else None, "currency": price.currency if price else ""}
        priced.append(resource.model_copy(update=known))
    return plan.model_copy(update={"resources": tuple(priced)})


def _platform(spec: PlatformSpec, settings: BaseModel) -> Platform | None:
    try:
        return spec.factory(settings)
    except Exception:  # boundary: a plugin call
        log.warning("The platform %s cannot be asked for prices.", spec.name, exc_info=True)
        return None

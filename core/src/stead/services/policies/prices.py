"""What the resources of a plan cost, from the price tables of the platforms."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

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
        try:
            until = time.monotonic() + DEADLINE
            return self._bounded.ask(lambda: self._priced(plan), until).get(until)
        except Exception:  # boundary: plugin calls
            log.warning("A plan could not be priced.", exc_info=True)
            return plan

    def _priced(self, plan: Plan) -> Plan:
        return plan.model_copy(update={"resources": tuple(self._with_price(one) for one in plan.resources)})

    def _with_price(self, resource: PlannedResource) -> PlannedResource:
        price = self._price(resource) if resource.stays else None
        known = {"hourly": price.hourly, "currency": price.currency} if price else {"hourly": None, "currency": ""}
        return resource.model_copy(update=known)

    def _price(self, resource: PlannedResource) -> Price | None:
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


def _platform(spec: PlatformSpec, settings: BaseModel) -> Platform | None:
    try:
        return spec.factory(settings)
    except Exception:  # boundary: a plugin call
        log.warning("The platform %s cannot be asked for prices.", spec.name, exc_info=True)
        return None

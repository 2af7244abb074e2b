"""What to show a policy in a test: requests and plans, made of the little that matters.

::

    plan_of(planned("docker_image", name="debian:13"), planned("docker_container", withheld=("image",)))
"""

from __future__ import annotations

from typing import Any

from stead.api.policies import BuildRequest, Plan, PlannedAction, PlannedResource, Who

ADA = Who(id="00000000-0000-4000-8000-000000000001", name="ada", roles=("member",))


def request_of(**values: Any) -> BuildRequest:
    """Ada starts her new workspace ``dev`` of the template ``box``, but for what is given."""
    plain: dict[str, Any] = {
        "transition": "start",
        "initiator": ADA,
        "owner": ADA,
        "template": "box",
        "version": "v1",
        "workspace": "dev",
        "number": 1,
    }
    return BuildRequest.model_validate({**plain, **values})


def planned(
    type_name: str,
    name: str = "main",
    /,
    *,
    action: PlannedAction = PlannedAction.CREATE,
    provider: str = "",
    withheld: tuple[str, ...] = (),
    hourly: float | None = None,
    currency: str = "USD",
    **attributes: Any,
) -> PlannedResource:
    """A resource ``TYPE.NAME`` that is created, but for what is given."""
    return PlannedResource(
        address=f"{type_name}.{name}",
        type=type_name,
        provider=provider or f"registry.terraform.io/example/{type_name.partition('_')[0]}",
        action=action,
        attributes=attributes,
        withheld=withheld,
        hourly=hourly,
        currency=currency if hourly is not None else "",
    )


def plan_of(*resources: PlannedResource) -> Plan:
    return Plan(resources=resources)

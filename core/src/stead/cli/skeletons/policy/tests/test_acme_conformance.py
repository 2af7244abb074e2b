"""What every policy must do, and what this one denies."""

from __future__ import annotations

from stead.testing.conformance import PolicyCase, PolicyConformance
from stead.testing.policies import plan_of, planned
from stead_acme import plugin


class TestAcme(PolicyConformance):
    plugin = plugin
    consents = (
        PolicyCase(plan=plan_of(planned("aws_instance", tags={"team": "storage"}), planned("random_pet"))),
        PolicyCase(plan=plan_of(planned("aws_instance", withheld=("tags",)))),
    )
    denies = (
        PolicyCase(plan=plan_of(planned("aws_instance", tags={"owner": "ada"}))),
        PolicyCase(plan=plan_of(planned("google_compute_instance"))),
    )

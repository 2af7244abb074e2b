"""What Terraform reports, as people read it."""

from __future__ import annotations

import pytest

from stead.terraform.diagnostics import Diagnostic, failure_of, provider_unavailable

LOOKUP = (
    "could not connect to registry.terraform.io: failed to request discovery document: GET "
    "https://registry.terraform.io/.well-known/terraform.json giving up after 4 attempt(s): Get "
    '"https://registry.terraform.io/.well-known/terraform.json": dial tcp: lookup registry.terraform.io on '
    "192.0.2.53:53: no such host"
)


@pytest.mark.parametrize(("said", "ends"), [(LOOKUP, "no such host)."), ("word " * 500, "word …).")])
def test_why_a_provider_is_not_to_be_had_is_read_to_its_end(said: str, ends: str) -> None:
    detail = (
        f"Could not retrieve the list of available versions for provider example/crate: {said}\n\nTo see which modules"
    )
    failure = provider_unavailable(Diagnostic("error", "Failed to query available provider packages", detail))
    assert failure.message.startswith("The provider example/crate is not available")
    assert failure.message.endswith(ends)
    assert len(failure.message) < 800


def test_a_plugin_that_did_not_load_is_named_where_a_provider_is_missing() -> None:
    missing = Diagnostic("error", "Failed to query available provider packages", "for provider example/crate: no")
    assert "rocket" not in str(failure_of([missing], "initializing"))
    told = failure_of([missing], "initializing", broken=("rocket",))
    assert "Did rocket bring it? That did not load: stead plugins list says why." in str(told)

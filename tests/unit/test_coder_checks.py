"""Schedules, URLs, slugs and time zones of the coder provider."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stead.api.errors import ProviderFailure
from stead.api.provider import Unknown
from stead.terraform.coder import checks

ACCEPTED: list[tuple[Callable[[str], object], str]] = [
    (checks.script_schedule, ""),
    (checks.script_schedule, "0 30 8 * * 1-5"),
    (checks.script_schedule, "*/10 * * * * *"),
    (checks.prebuild_schedule, "* 8-18 * * 1-5"),
    (checks.prebuild_schedule, "* * 1,15 6 *"),
    (checks.time_zone, "UTC"),
    (checks.time_zone, "America/Argentina/Buenos_Aires"),
    (checks.url, ""),
    (checks.url, "/icon/code.svg"),
    (checks.url, "https://example.com/a?b=c#d"),
    (checks.url, "vscode://open?token=$SESSION_TOKEN"),
    (checks.slug, "code-server2"),
    (checks.slug, "a"),
    (checks.env_name, "_PATH_1"),
    (checks.absolute_path, "/home/coder"),
    (checks.home_or_absolute_path, "~/.ssh/id"),
    (checks.uuid_text, "8f0a4a4e-1f2b-4c3d-9e8f-000102030405"),
]
REFUSED: list[tuple[Callable[[str], object], str]] = [
    (checks.script_schedule, "30 8 * * 1-5"),
    (checks.script_schedule, "0 30 25 * * *"),
    (checks.script_schedule, "0 0 0 0 0 0 0"),
    (checks.prebuild_schedule, "0 8 * * *"),
    (checks.prebuild_schedule, "* 24 * * *"),
    (checks.prebuild_schedule, "* * * *"),
    (checks.time_zone, "Mars/Olympus"),
    (checks.time_zone, "../../etc/passwd"),
    (checks.time_zone, ""),
    (checks.url, "http://exa mple.com"),
    (checks.url, "http://[::1"),
    (checks.url, "http://host:port/"),
    (checks.slug, "Code"),
    (checks.slug, "a--b"),
    (checks.slug, "-a"),
    (checks.slug, "a\n"),
    (checks.env_name, "1A"),
    (checks.env_name, "A-B"),
    (checks.absolute_path, "home"),
    (checks.home_or_absolute_path, "~user/x"),
    (checks.uuid_text, "main"),
]


@pytest.mark.parametrize(("check", "value"), ACCEPTED)
def test_good_values_pass(check: Callable[[str], object], value: str) -> None:
    check(value)


@pytest.mark.parametrize(("check", "value"), REFUSED)
def test_bad_values_are_refused(check: Callable[[str], object], value: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check(value)


@pytest.mark.parametrize("seconds", [0, 3600, 31536000])
def test_lifetimes_of_prebuilds(seconds: int) -> None:
    checks.prebuild_lifetime(seconds)


@pytest.mark.parametrize("seconds", [1, 3599, 31536001, -1])
def test_lifetimes_that_prebuilds_cannot_have(seconds: int) -> None:
    with pytest.raises(ValueError, match=str(seconds)):
        checks.prebuild_lifetime(seconds)


def test_a_repeated_value_is_refused_at_its_second_place() -> None:
    with pytest.raises(ProviderFailure, match="'b' is used twice") as refused:
        checks.refuse_repeats(["a", "b", Unknown, Unknown, "b"], what="The key", field="metadata[{}].key")
    assert refused.value.field == "metadata[4].key"
    checks.refuse_repeats(["a", Unknown, Unknown], what="The key", field="metadata[{}].key")

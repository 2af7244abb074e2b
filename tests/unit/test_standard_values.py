"""Values of the standard providers that need no Terraform to be judged."""

from __future__ import annotations

import base64
import email
import gzip
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.api.errors import ProviderFailure
from stead.api.provider import Context
from stead.terraform.standard import time_points
from stead.terraform.standard.cloudinit_provider import CloudinitConfig, Part, rendered
from stead.terraform.standard.external_provider import parsed
from stead.terraform.standard.pet_words import ADJECTIVES, ADVERBS, ANIMALS
from stead.terraform.standard.random_strings import RandomPassword, RandomString
from stead.terraform.standard.random_values import RandomId, generator, pet_words, shuffled


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("30s", 30), ("1h30m", 5400), ("1.5h", 5400), ("500ms", 0.5), ("2us", 2e-6), (".5s", 0.5)],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert time_points.seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "1d", "h", "1h 2m", "-1s", "1s2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        time_points.seconds_of(text)


@pytest.mark.parametrize(
    ("start", "shift", "end"),
    [
        ("2026-01-31T00:00:00Z", {"months": 1}, "2026-03-03T00:00:00Z"),
        ("2024-01-31T00:00:00Z", {"months": 1}, "2024-03-02T00:00:00Z"),
        ("2024-02-29T12:00:00Z", {"years": 1}, "2025-03-01T12:00:00Z"),
        ("2026-12-15T00:00:00Z", {"months": 2, "days": 20}, "2027-03-07T00:00:00Z"),
        ("2026-03-15T00:00:00Z", {"months": -3}, "2025-12-15T00:00:00Z"),
        ("2026-01-01T00:00:00Z", {"hours": 25, "minutes": 61, "seconds": 61}, "2026-01-02T02:02:01Z"),
    ],
)
def test_calendar_units_run_over(start: str, shift: dict[str, int], end: str) -> None:
    assert time_points.rfc3339(time_points.shifted(time_points.parse(start), **shift)) == end


def test_timestamps_keep_their_zone() -> None:
    moment = datetime(2026, 5, 1, 12, 0, 0, 987654, tzinfo=timezone(timedelta(hours=2)))
    assert time_points.rfc3339(moment) == "2026-05-01T12:00:00+02:00"
    assert time_points.parse("2026-05-01T10:00:00.123456789Z").astimezone(UTC).hour == 10


@pytest.mark.parametrize("text", ["2026-05-01", "2026-05-01T10:00:00", "now", "2026-13-01T00:00:00Z"])
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time"):
        time_points.parse(text)


@given(st.lists(st.text(max_size=3), max_size=6), st.integers(0, 20))
def test_a_shuffle_repeats_nothing_before_all_were_taken(values: list[str], count: int) -> None:
    result = shuffled(values, count, random.Random(1))
    assert len(result) == (count if values else 0)
    for start in range(0, len(result) - len(values) + 1, max(1, len(values))):
        assert sorted(result[start : start + len(values)]) == sorted(values)


def test_a_seed_gives_the_same_numbers_and_none_gives_others() -> None:
    assert generator("a").random() == generator("a").random() != generator("b").random()
    assert generator(None).random() != generator(None).random()
    assert generator("").random() != generator("").random()


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_pet_names_have_as_many_words_as_asked_for(count: int) -> None:
    words = pet_words(count)
    assert len(words) == count
    assert words[-1] in ANIMALS
    assert count == 1 or words[-2] in ADJECTIVES
    assert all(word in ADVERBS for word in words[:-2])


@pytest.mark.parametrize("words", [ADVERBS, ADJECTIVES, ANIMALS])
def test_words_are_plain_and_stand_once(words: tuple[str, ...]) -> None:
    assert len(set(words)) == len(words)
    assert all(word.isalpha() and word.islower() for word in words)


def characters(**values: object) -> dict[str, object]:
    switches = dict.fromkeys(("lower", "upper", "numeric", "number", "special"), True)
    floors = dict.fromkeys(("min_lower", "min_upper", "min_numeric", "min_special"), 0)
    return {**switches, **floors, "length": 12, **values}


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 20), st.booleans())
def test_strings_have_at_least_what_was_asked_for(
    lower: int, upper: int, numeric: int, special: int, more: int, digits: bool
) -> None:
    floors = {"min_lower": lower, "min_upper": upper, "min_numeric": numeric, "min_special": special}
    length = sum(floors.values()) + more
    if not length:
        return
    drawn = RandomString(**characters(**floors, length=length, numeric=digits, override_special="#")).draw()
    assert len(drawn) == length
    assert sum(map(str.islower, drawn)) >= lower
    assert sum(map(str.isupper, drawn)) >= upper
    assert drawn.count("#") >= special
    found = sum(map(str.isdigit, drawn))
    assert found >= numeric if digits else found == numeric


def test_no_characters_at_all_is_refused() -> None:
    nothing = {"lower": False, "upper": False, "special": False, "numeric": False}
    with pytest.raises(ProviderFailure, match="No characters"):
        RandomPassword(**characters(**nothing)).validate(Context())
    # The class that is left has no characters either.
    with pytest.raises(ProviderFailure, match="No characters"):
        RandomString(**characters(**{**nothing, "special": True}, override_special="")).draw()


def test_a_password_is_not_in_its_own_representation() -> None:
    password = RandomPassword(**characters())
    password.create(Context())
    assert password.result not in repr(password)


def test_ids_say_the_same_in_every_writing() -> None:
    made = RandomId(byte_length=9, prefix="x-")
    made.create(Context())
    number = int(made.dec.removeprefix("x-"))
    assert made.hex == f"x-{number:018x}"
    again = RandomId.import_(Context(), f"x-,{made.id}")
    assert (again.hex, again.b64_std, again.byte_length) == (made.hex, made.b64_std, 9)


def test_a_mime_document_is_one_that_others_read() -> None:
    parts = [
        Part(content="#!/bin/sh\necho hi\n", content_type="text/x-shellscript", filename="run.sh"),
        Part(content="#cloud-config\n{}", merge_type="list(append)"),
    ]
    message = email.message_from_string(rendered(parts, "EDGE"))
    first, second = message.get_payload()
    assert (first.get_content_type(), first.get_filename()) == ("text/x-shellscript", "run.sh")
    assert first.get_payload() == "#!/bin/sh\necho hi\n"
    assert (second.get_content_type(), second["X-Merge-Type"]) == ("text/plain", "list(append)")
    assert second.get_payload().strip() == "#cloud-config\n{}"


def test_user_data_is_the_same_whenever_it_is_rendered() -> None:
    config = CloudinitConfig(gzip=True, base64_encode=True, boundary="EDGE", part=[Part(content="x")])
    config.create(Context())
    compressed = base64.b64decode(config.rendered)
    assert gzip.decompress(compressed).decode() == rendered(config.part, "EDGE")
    assert compressed[4:8] == bytes(4)  # no time in it


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"a": 1}', b'"a"', b"{"])
def test_an_external_program_must_answer_with_strings(answer: bytes) -> None:
    with pytest.raises(ProviderFailure, match="JSON"):
        parsed(answer)

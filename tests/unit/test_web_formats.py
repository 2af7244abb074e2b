"""How the pages write times, sizes and costs, and that their script says the same."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stead.web import build_assets
from stead.web.pages import formats

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (9, "just now"),
        (-9, "just now"),
        (10, "10 seconds ago"),
        (44, "44 seconds ago"),
        (45, "1 minute ago"),
        (90, "2 minutes ago"),
        (3600, "1 hour ago"),
        (23 * 3600, "1 day ago"),
        (-7200, "in 2 hours"),
        (40 * 86400, "1 month ago"),
        (800 * 86400, "2 years ago"),
    ],
)
def test_relative_times(seconds: float, words: str) -> None:
    assert formats.relative(NOW - timedelta(seconds=seconds), NOW) == words


def test_the_script_words_times_as_the_server_does() -> None:
    seconds = [0, 10, 44, 45, 89, 90, 150, 2699, 2700, 5400, 79199, 79200, 86400 * 3.5, 86400 * 40, 86400 * 700]
    clock = (Path(build_assets.ASSETS) / "js" / "clock.js").read_text()
    module = clock[: clock.index("function refresh")]
    script = f"{module}\nconsole.log(JSON.stringify({json.dumps(seconds)}.map((each) => relative(0, each * 1000))))"
    node = build_assets._node()
    done = subprocess.run(
        [node, "--input-type=module"], input=script, capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(done.stdout) == [formats.relative(NOW - timedelta(seconds=each), NOW) for each in seconds]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (-1, "0.0 s")],
)
def test_durations(seconds: float, words: str) -> None:
    assert formats.duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 KB"), (10_500_000, "10 MB"), (3e15, "3000.0 TB")],
)
def test_sizes(count: int, words: str) -> None:
    assert formats.size(int(count)) == words


def test_counts_lists_costs_and_initials() -> None:
    assert formats.counted(1, "workspace") == "1 workspace"
    assert formats.counted(1204, "workspace") == "1,204 workspaces"
    assert formats.listed([]) == ""
    assert formats.listed(["a"]) == "a"
    assert formats.listed(["a", "b", "c"]) == "a, b and c"
    assert formats.cost(0) == "Nothing"
    assert formats.cost(1200) == "1,200 a day"
    assert formats.initials("Ada Lovelace") == "AL"
    assert formats.initials("grace") == "G"
    assert formats.initials("") == "?"


def test_commands_in_a_message_become_code_and_nothing_else_becomes_html() -> None:
    assert formats.coded("`stead list` shows yours.") == "<code>stead list</code> shows yours."
    assert formats.coded("Try `a` or `<b>`, not <i>.") == (
        "Try <code>a</code> or <code>&lt;b&gt;</code>, not &lt;i&gt;."
    )
    assert formats.coded("A lone ` stays.") == "A lone ` stays."


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18.0 Safari/605.1", "Safari on macOS"),
        ("Mozilla/5.0 (something new)", "A browser"),
        ("stead-cli/1.0", "stead-cli/1.0"),
        ("", "unknown browser"),
    ],
)
def test_browsers_are_named_as_people_name_them(sent: str, words: str) -> None:
    assert formats.browser(sent) == words

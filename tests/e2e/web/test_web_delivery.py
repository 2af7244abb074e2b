"""What goes over the wire: how much, how soon, how long it is kept, and from where."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stead.web import build_assets

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FIRST_PAGE_BYTES = 300_000


@pytest.fixture(scope="module")
def busy(site: Any) -> Any:
    """A list of a full page of workspaces, one of them ready."""
    template = site.template("plain", plain=True)
    for number in range(25):
        site.workspace(template, f"workspace-{number}")
        site.build_next()
    site.connect(site.again_by_name("workspace-0"))
    return site


@pytest.mark.parametrize("path", ["/workspaces", "/workspaces/ada/workspace-0", "/login"])
def test_a_first_page_is_light(busy: Any, path: str, visit: Callable[..., Any]) -> None:
    made = visit(signed_in=path != "/login")
    session = made.context.new_cdp_session(made.page)
    session.send("Network.enable")
    sizes: list[float] = []
    foreign: list[str] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    made.page.on("request", lambda request: foreign.append(request.url))
    page = made.open(path)
    page.locator("html.js").wait_for()
    page.evaluate("document.fonts.ready.then(() => 1)")
    assert [url for url in foreign if not url.startswith(busy.url)] == []
    assert 20_000 < sum(sizes) < FIRST_PAGE_BYTES


def test_the_server_answers_in_time(busy: Any) -> None:
    cookies = {"stead_session": busy.session()}
    with httpx.Client(base_url=busy.url, cookies=cookies) as client:
        for path in ("/workspaces", "/workspaces/ada/workspace-0", "/templates", "/templates/plain/workspace"):
            assert client.get(path).status_code == 200
            times = []
            for _ in range(9):
                start = time.process_time()
                client.get(path)
                times.append(time.process_time() - start)
            # Processor time of this process, server and client together: what others do here does not count.
            assert statistics.median(times) < 0.2, path


def test_files_are_compressed_and_kept_for_ever(site: Any) -> None:
    html = httpx.get(f"{site.url}/login").text
    assets = re.findall(r"/static/[\w.-]+", html)
    assert len(assets) >= 4
    for path in assets:
        answer = httpx.get(site.url + path, headers={"Accept-Encoding": "br;q=1, gzip;q=0.8"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if not path.endswith(".woff2"):
            assert answer.headers["content-encoding"] == "br"
            assert "Accept-Encoding" in answer.headers["vary"]
    style = next(path for path in assets if path.endswith(".css"))
    gzipped = httpx.get(site.url + style, headers={"Accept-Encoding": "gzip"})
    assert gzipped.headers["content-encoding"] == "gzip"
    plain = httpx.get(site.url + style, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == gzipped.text


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/sources.sha256", "/static/x"])
def test_nothing_else_is_served(site: Any, path: str) -> None:
    assert httpx.get(site.url + path).status_code == 404


def test_pages_allow_nothing_inline(site: Any) -> None:
    answer = httpx.get(f"{site.url}/login")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for template in (build_assets.WEB / "templates").rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|<script(?![^>]*src=)", text), template


def test_a_second_build_of_the_assets_does_nothing() -> None:
    assert build_assets.build() is False
    assert build_assets.up_to_date(build_assets.digest())

"""Sign-ins at a strict GitHub Enterprise Server, whose answers are as GitHub's published schema says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from stead_oidc_peer.flow import Flow, link_of
from stead_oidc_peer.github import API, CLIENT_ID, SECRET, GithubPeer, Someone
from stead_oidc_peer.server import Reply

from stead.api import AuthenticationFailed, Link, Trace
from stead.api.errors import Unavailable
from stead_oidc.github import GithubProvider
from stead_oidc.settings import GithubSettings

Make = Callable[..., GithubProvider]


def settings(url: str, **more: Any) -> GithubSettings:
    return GithubSettings.model_validate(
        {"client_id": CLIENT_ID, "client_secret": SECRET, "url": url, "timeout": 60, **more}
    )


@pytest.fixture
def github(github_peer: GithubPeer) -> Iterator[Make]:
    """Makes providers of the plugin; at the end, nothing that they asked was wrong."""
    made: list[GithubProvider] = []

    def make(**more: Any) -> GithubProvider:
        made.append(GithubProvider(settings(github_peer.url, **more)))
        return made[-1]

    yield make
    for provider in made:
        provider.close()
    assert github_peer.problems == []


def sign_in(provider: GithubProvider, login: str = "octocat"):
    return Flow(provider).sign_in(login=login)


def test_somebody_signs_in(github: Make, github_peer: GithubPeer) -> None:
    flow = Flow(github())
    person = flow.sign_in(login="octocat")
    assert (person.issuer, person.subject, person.username) == (github_peer.url, "583231", "octocat")
    assert (person.email, person.email_verified) == ("octocat@example.com", True)
    assert person.groups == ("example-corp", "example-corp/engineering")
    assert person.kept["access_token"] not in repr(person)
    assert [step.title for step in flow.attempt.trace.steps] == [
        "Sign-in page", "Code", "Account", "Organisations", "Teams",
    ]  # fmt: skip


def test_the_request(github: Make) -> None:
    asked = dict(parse_qsl(urlsplit(Flow(github()).begin()).query))
    assert asked["scope"] == "read:user user:email read:org"
    assert asked["code_challenge_method"] == "S256"
    plain = dict(parse_qsl(urlsplit(Flow(github(pkce=False, read_groups=False)).begin()).query))
    assert plain["scope"] == "read:user user:email"
    assert "code_challenge" not in plain


def test_a_server_that_does_not_know_pkce(github: Make, github_peer: GithubPeer) -> None:
    github_peer.knows_pkce = False
    assert sign_in(github()).subject == "583231"
    assert sign_in(github(pkce=False)).subject == "583231"


def test_groups_are_not_asked_for_where_they_are_not_wanted(github: Make, github_peer: GithubPeer) -> None:
    assert sign_in(github(read_groups=False)).groups is None
    assert github_peer.count(f"{API}/user/teams") == 0


def test_only_members_come_in(github: Make, github_peer: GithubPeer) -> None:
    assert sign_in(github(organizations=("Example-Corp",))).subject == "583231"
    assert sign_in(github(teams=("example-corp/engineering",))).subject == "583231"
    for rule in ({"organizations": ("other",)}, {"teams": ("example-corp/board",)}, {"teams": ("other/engineering",)}):
        with pytest.raises(AuthenticationFailed, match="not one that may sign in") as refused:
            sign_in(github(**rule))
        assert "an active member of none of" in refused.value.detail
    assert sign_in(github(allowed_groups=("example-corp/engineering",))).groups


def test_an_invitation_is_no_membership(github: Make, github_peer: GithubPeer) -> None:
    github_peer.people["octocat"].organizations = {"example-corp": "pending"}
    github_peer.filters = False  # an older server may not know the parameter
    with pytest.raises(AuthenticationFailed):
        sign_in(github(organizations=("example-corp",)))
    with pytest.raises(AuthenticationFailed):
        sign_in(github(teams=("example-corp/engineering",)))


def test_the_primary_address_counts_and_only_if_verified(github: Make, github_peer: GithubPeer) -> None:
    """Not the one of the profile, which may be anybody's."""
    github_peer.people["octocat"].emails[1]["verified"] = False
    person = sign_in(github())
    assert (person.email, person.email_verified) == ("octocat@example.com", False)
    with pytest.raises(AuthenticationFailed, match="does not confirm your e-mail"):
        sign_in(github(allowed_domains=("example.com",)))
    github_peer.people["octocat"].emails = []
    assert sign_in(github()).email == ""


def test_a_name_that_somebody_else_took_over(github: Make, github_peer: GithubPeer) -> None:
    """Accounts are numbers: whoever registers a name that became free is somebody else."""
    before = sign_in(github())
    github_peer.people["octocat"] = Someone.usual(number=99)
    after = sign_in(github())
    assert before.username == after.username
    assert before.subject != after.subject


def test_a_code_is_good_once(github: Make) -> None:
    flow = Flow(github())
    answer = flow.answer(login="octocat")
    flow.complete(answer)
    with pytest.raises(AuthenticationFailed) as refused:
        flow.complete(answer)
    assert "bad_verification_code" in refused.value.detail


def test_a_stolen_code_is_no_good_in_another_browser(github: Make) -> None:
    provider = github()
    stolen = Flow(provider).answer(login="octocat")
    thief = Flow(provider)
    thief.begin()
    with pytest.raises(AuthenticationFailed) as refused:
        thief.complete(stolen)
    assert "bad_verification_code" in refused.value.detail


def test_cancelling_and_nonsense(github: Make, github_peer: GithubPeer) -> None:
    with pytest.raises(AuthenticationFailed, match="you cancelled") as refused:
        sign_in(github(), login="nobody")
    assert "access_denied" in refused.value.detail
    flow = Flow(github())
    flow.begin()
    for answer in ({}, {"code": ""}, {"code": "x", "iss": "https://evil.example"}):
        with pytest.raises(AuthenticationFailed):
            flow.complete(answer)
    assert github_peer.count("/login/oauth/access_token") == 0


def test_a_wrong_secret_is_an_administrators_matter(github: Make) -> None:
    wrong = github(client_secret="0" * 40)
    with pytest.raises(Unavailable, match="does not take Stead's own credentials"):
        sign_in(wrong)
    assert not wrong.check().ok
    assert github().check().ok


# Later


def test_look_ups_follow_the_account(github: Make, github_peer: GithubPeer) -> None:
    provider = github(organizations=("example-corp",))
    link = link_of(sign_in(provider))
    someone = github_peer.people["octocat"]
    someone.teams = ["example-corp/operations"]
    later = provider.look_up(link, Trace())
    assert later is not None
    assert later.groups == ("example-corp", "example-corp/operations")
    assert later.kept == link.kept
    someone.organizations = {"elsewhere": "active"}
    with pytest.raises(AuthenticationFailed, match="not one that may sign in"):
        provider.look_up(link, Trace())


@pytest.mark.parametrize("end", ["suspended", "revoked", "deleted"])
def test_look_ups_see_the_end(github: Make, github_peer: GithubPeer, end: str) -> None:
    provider = github()
    link = link_of(sign_in(provider))
    if end == "suspended":
        github_peer.people["octocat"].suspended = True
    elif end == "revoked":
        github_peer.tokens.clear()
    else:
        github_peer.people.clear()
    with pytest.raises(AuthenticationFailed, match="does not vouch for you any more"):
        provider.look_up(link, Trace())


def test_what_cannot_be_told_changes_nothing(github: Make, github_peer: GithubPeer) -> None:
    provider = github()
    link = link_of(sign_in(provider))
    for status in (500, 502, 403, 429):
        github_peer.routes[f"GET {API}/user"] = lambda _, status=status: Reply({"message": "no"}, status)
        with pytest.raises(Unavailable):
            provider.look_up(link, Trace())
    with pytest.raises(Unavailable):
        provider.look_up(Link(link.issuer, link.subject, "octocat", ""), Trace())


def test_somebody_elses_token_is_no_proof(github: Make, github_peer: GithubPeer) -> None:
    provider = github()
    link = link_of(sign_in(provider))
    other = Link(link.issuer, "7", "octocat", "", kept=link.kept)
    with pytest.raises(AuthenticationFailed) as refused:
        provider.look_up(other, Trace())
    assert "another account" in refused.value.detail


# Many


def test_ten_thousand_teams(github: Make, github_peer: GithubPeer) -> None:
    """All pages are read, from the same host whatever the answer calls the next page."""
    github_peer.people["octocat"].teams = [f"example-corp/t{number}" for number in range(10_000)]
    person = sign_in(github())
    assert person.groups is not None
    assert len(person.groups) == 10_001
    with pytest.raises(AuthenticationFailed, match="too many groups"):
        sign_in(github(max_groups=500))
    assert github_peer.count(f"{API}/user/teams") < 120


# Where the parts of GitHub are


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://github.com/", "https://api.github.com"),
        ("https://octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://git.example.com", "https://git.example.com/api/v3"),
        ("https://github.com.evil.example", "https://github.com.evil.example/api/v3"),
    ],
)
def test_the_address_of_the_api(url: str, api: str) -> None:
    assert settings(url).api == api


def test_the_address_of_the_api_may_be_set() -> None:
    assert settings("https://git.example.com", api_url="https://api.example.com/").api == "https://api.example.com"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://git.example.com"},
        {"api_url": "http://git.example.com"},
        {"teams": ("engineering",)},
        {"teams": ("a/b/c",)},
        {"allowed_groups": ("x",), "read_groups": False},
        {"client_secret": None},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        settings("https://github.com", **wrong) if "url" not in wrong else settings(**wrong)

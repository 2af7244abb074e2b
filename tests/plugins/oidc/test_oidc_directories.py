"""Groups that the tokens do not carry: Google Workspace, Entra ID; and what look-ups learn there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stead_oidc_peer.directories import GoogleDirectory, Graph
from stead_oidc_peer.flow import Flow, link_of, oidc_settings
from stead_oidc_peer.hostile import Hostile
from stead_oidc_peer.server import Reply

from stead.api import AuthenticationFailed, Person, Trace
from stead.api.errors import Unavailable
from stead_oidc.provider import OidcProvider

OVERAGE = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/tenant/users/oid-1/getMemberObjects"}},
    "oid": "oid-1",
}


def sign_in(provider: OidcProvider, hostile: Hostile) -> Person:
    flow = Flow(provider)
    return flow.complete(hostile.authorize(flow.begin()))


# Google


@pytest.fixture
def google() -> Iterator[GoogleDirectory]:
    with GoogleDirectory() as directory:
        directory.people["ada"] = ["eng@example.com", "all@example.com"]
        yield directory


@pytest.fixture
def at_google(google: GoogleDirectory, hostile: Hostile, tmp_path) -> Iterator[OidcProvider]:
    provider = OidcProvider(oidc_settings(hostile.issuer, **google.settings(tmp_path)))
    yield provider
    provider.close()


def test_groups_of_google(at_google: OidcProvider, google: GoogleDirectory, hostile: Hostile) -> None:
    assert sign_in(at_google, hostile).groups == ("eng@example.com", "all@example.com")
    google.people["ada"] = []
    assert sign_in(at_google, hostile).groups == ()
    assert google.count("/token") == 1  # kept while it lasts


def test_ten_thousand_groups_of_google(at_google: OidcProvider, google: GoogleDirectory, hostile: Hostile) -> None:
    google.people["ada"] = [f"g{number}@example.com" for number in range(10_000)]
    assert len(sign_in(at_google, hostile).groups or ()) == 10_000


def test_pages_of_google_without_end(google: GoogleDirectory, hostile: Hostile, tmp_path) -> None:
    at_google = OidcProvider(oidc_settings(hostile.issuer, max_groups=1000, **google.settings(tmp_path)))
    google.people["ada"] = [f"g{number}@example.com" for number in range(2000)]
    with pytest.raises(AuthenticationFailed, match="too many groups"):
        sign_in(at_google, hostile)
    same = {"groups": [{"email": "x@example.com"}], "nextPageToken": "again"}
    google.routes["GET /admin/directory/v1/groups"] = lambda _: Reply(same)
    with pytest.raises(Unavailable, match="does not end"):
        sign_in(at_google, hostile)


def test_google_knows_who_left(at_google: OidcProvider, google: GoogleDirectory, hostile: Hostile) -> None:
    link = link_of(sign_in(at_google, hostile))
    google.people["ada"] = ["sales@example.com"]
    later = at_google.look_up(link, Trace())
    assert later is not None
    assert (later.subject, later.groups, later.email, later.email_verified) == (
        "ada", ("sales@example.com",), "ada@example.com", True,
    )  # fmt: skip
    google.suspended.add("ada")
    with pytest.raises(AuthenticationFailed, match="disabled"):
        at_google.look_up(link, Trace())
    del google.people["ada"]
    assert at_google.look_up(link, Trace()) is None
    google.routes["GET /admin/directory/v1/users/*"] = lambda _: Reply({}, 500)
    with pytest.raises(Unavailable):
        at_google.look_up(link, Trace())


def test_google_says_beforehand_what_somebody_would_get(
    at_google: OidcProvider, google: GoogleDirectory, hostile: Hostile
) -> None:
    """The same as they get when they sign in."""
    found = at_google.find("ada@example.com", Trace())
    assert found is not None
    there = sign_in(at_google, hostile)
    assert (found.issuer, found.subject) == (there.issuer, there.subject)
    assert (found.email, found.email_verified) == (there.email, there.email_verified)
    assert found.groups == there.groups
    assert at_google.find("nobody@example.com", Trace()) is None
    google.suspended.add("ada")
    with pytest.raises(AuthenticationFailed, match="disabled"):
        at_google.find("ada@example.com", Trace())


def test_others_cannot_say_beforehand(at_google: OidcProvider, at_entra: OidcProvider, hostile: Hostile) -> None:
    assert at_google.can_find
    for provider in (at_entra, OidcProvider(oidc_settings(hostile.issuer))):
        assert not provider.can_find
        assert provider.find("ada@example.com", Trace()) is None


def test_google_without_delegation(at_google: OidcProvider, google: GoogleDirectory, hostile: Hostile) -> None:
    assert at_google.check().ok
    google.delegated = False
    google.tokens.clear()
    other = OidcProvider(at_google._settings)
    assert not other.check().ok
    with pytest.raises(Unavailable):
        sign_in(other, hostile)


# Entra ID


@pytest.fixture
def graph(hostile: Hostile) -> Iterator[Graph]:
    with Graph(hostile) as directory:
        directory.add("oid-1", [f"group-{number}" for number in range(300)])
        yield directory


@pytest.fixture
def at_entra(graph: Graph, hostile: Hostile) -> Iterator[OidcProvider]:
    provider = OidcProvider(oidc_settings(hostile.issuer, **graph.settings()))
    yield provider
    provider.close()


def test_groups_of_the_token_while_they_fit(at_entra: OidcProvider, graph: Graph, hostile: Hostile) -> None:
    hostile.claims = {"groups": ["group-1"], "oid": "oid-1"}
    assert sign_in(at_entra, hostile).groups == ("group-1",)
    assert graph.requests == []


def test_groups_of_graph_where_they_are_too_many(at_entra: OidcProvider, graph: Graph, hostile: Hostile) -> None:
    hostile.claims = OVERAGE
    assert len(sign_in(at_entra, hostile).groups or ()) == 300
    graph.add("oid-1", [f"group-{number}" for number in range(10_000)])
    assert len(sign_in(at_entra, hostile).groups or ()) == 10_000


def test_graph_knows_who_left(at_entra: OidcProvider, graph: Graph, hostile: Hostile) -> None:
    hostile.claims = OVERAGE
    link = link_of(sign_in(at_entra, hostile))
    graph.add("oid-1", ["group-2"])
    later = at_entra.look_up(link, Trace())
    assert later is not None
    assert later.groups == ("group-2",)
    graph.disabled.add("oid-1")
    with pytest.raises(AuthenticationFailed, match="disabled"):
        at_entra.look_up(link, Trace())
    graph.disabled.clear()
    del graph.people["oid-1"]
    assert at_entra.look_up(link, Trace()) is None


def test_too_many_groups_and_nobody_to_ask(hostile: Hostile) -> None:
    """Not told is not "in no group", and lets nobody in who must be in one."""
    hostile.claims = OVERAGE
    assert sign_in(OidcProvider(oidc_settings(hostile.issuer, groups_claim="groups")), hostile).groups is None
    picky = OidcProvider(oidc_settings(hostile.issuer, groups_claim="groups", allowed_groups=("group-1",)))
    with pytest.raises(AuthenticationFailed) as refused:
        sign_in(picky, hostile)
    assert "groups are not known" in refused.value.detail


def test_a_refused_refresh_token_does_not_end_whom_the_directory_knows(
    at_entra: OidcProvider, graph: Graph, hostile: Hostile
) -> None:
    hostile.claims, hostile.tokens = OVERAGE, {"refresh_token": "r1"}
    link = link_of(sign_in(at_entra, hostile))
    assert link.kept["refresh_token"] == "r1"
    before = hostile.routes["POST /token"]

    def refuse(request):
        refused = request.form.get("grant_type") == "refresh_token"
        return Reply({"error": "invalid_grant"}, 400) if refused else before(request)

    hostile.routes["POST /token"] = refuse
    later = at_entra.look_up(link, Trace())
    assert later is not None
    assert "refresh_token" not in later.kept


# Refreshing


def test_a_refreshed_token_of_somebody_else(hostile: Hostile) -> None:
    provider = OidcProvider(oidc_settings(hostile.issuer))
    hostile.tokens = {"refresh_token": "r1"}
    link = link_of(sign_in(provider, hostile))
    hostile.tokens = {"id_token": hostile.sign(hostile.identity(sub="root"))}
    with pytest.raises(AuthenticationFailed) as refused:
        provider.look_up(link, Trace())
    assert "another person" in refused.value.detail
    hostile.tokens, hostile.userinfo = {}, {"sub": "root"}
    with pytest.raises(AuthenticationFailed):
        provider.look_up(link, Trace())


def test_what_a_refresh_does_not_tell_stays(hostile: Hostile) -> None:
    """The groups are in the ID token, and a refresh brings none."""
    provider = OidcProvider(oidc_settings(hostile.issuer, groups_claim="groups", allowed_groups=("a",)))
    hostile.claims, hostile.tokens = {"groups": ["a"]}, {"refresh_token": "r1"}
    link = link_of(sign_in(provider, hostile))
    with pytest.raises(Unavailable, match="did not say which groups"):
        provider.look_up(link, Trace())
    hostile.userinfo = {"groups": ["b"]}
    with pytest.raises(AuthenticationFailed):
        provider.look_up(link, Trace())
    hostile.userinfo = {"groups": ["a"]}
    later = provider.look_up(link, Trace())
    assert later is not None
    assert (later.groups, later.email, later.email_verified) == (("a",), "ada@example.com", True)
    assert later.kept["refresh_token"] == "r1"

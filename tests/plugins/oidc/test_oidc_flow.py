"""Whole sign-ins at a real OpenID provider (npm's oidc-provider)."""

from __future__ import annotations

import queue
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from stead_oidc_peer.flow import Flow, link_of, oidc_settings
from stead_oidc_peer.openid import FAREWELL, Browser, OpenidPeer, client, signing_key
from stead_oidc_peer.server import Reply, Request, Server

from stead.api import AuthenticationFailed, Link, Trace
from stead.api.errors import Unavailable
from stead_oidc.provider import OidcProvider

Make = Callable[..., OidcProvider]
GROUPS = {"scopes": ("profile", "email", "groups", "offline_access"), "groups_claim": "groups"}
#: oidc-provider gives a refresh token only where the person was asked.
CONSENT = {"extra_parameters": {"prompt": "login consent"}}


def test_somebody_signs_in(oidc: Make, openid: OpenidPeer) -> None:
    flow = Flow(oidc(**GROUPS, roles_claim="realm_access.roles"))
    person = flow.sign_in(login="ada", password="x")
    assert (person.issuer, person.subject) == (openid.issuer, "ada")
    assert (person.username, person.name) == ("ada", "Ada Lovelace")
    assert (person.email, person.email_verified) == ("ada@example.com", True)
    assert person.groups == ("engineering", "everyone")
    assert person.roles == ("template-author",)
    titles = [step.title for step in flow.attempt.trace.steps]
    assert titles == [
        "Discovery", "Answer of the browser", "Code", "ID token", "Userinfo", "Groups", "Roles", "Person",
    ]  # fmt: skip
    assert all(step.ok for step in flow.attempt.trace.steps)


def test_the_request_has_pkce_nonce_state_and_extra_parameters(oidc: Make) -> None:
    flow = Flow(oidc(extra_parameters={"hd": "example.com", "prompt": "login"}))
    asked = dict(parse_qsl(urlsplit(flow.begin()).query))
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert (asked["state"], asked["nonce"]) == (flow.attempt.state, flow.attempt.nonce)
    assert (asked["hd"], asked["prompt"], asked["scope"]) == ("example.com", "login", "openid profile email")
    assert flow.begun is not None
    assert flow.begun.kept["verifier"] not in flow.begun.url
    assert flow.begun.kept["verifier"] not in repr(flow.begun)


def test_an_address_that_nobody_vouches_for_is_not_verified(oidc: Make) -> None:
    person = Flow(oidc()).sign_in(login="eve", password="x")
    assert (person.email, person.email_verified) == ("eve@example.com", False)
    assert person.groups is None  # not asked for: not "in no group"
    assert person.username == "eve"  # of the address, where the provider has no name


@pytest.mark.parametrize("claim", ["https://example.com/groups", "realm_access.roles"])
def test_groups_may_be_anywhere_in_the_claims(oidc: Make, claim: str) -> None:
    person = Flow(oidc(scopes=("openid", "groups"), groups_claim=claim)).sign_in(login="ada", password="x")
    assert person.groups in {("dotted",), ("template-author",)}


def test_only_allowed_domains_and_groups_come_in(oidc: Make) -> None:
    allowed = oidc(**GROUPS, allowed_domains=("example.com",), allowed_groups=("engineering",))
    assert Flow(allowed).sign_in(login="ada", password="x").subject == "ada"
    with pytest.raises(AuthenticationFailed, match="does not confirm your e-mail address"):
        Flow(allowed).sign_in(login="eve", password="x")
    with pytest.raises(AuthenticationFailed) as refused:
        Flow(oidc(allowed_domains=("example.org",))).sign_in(login="ada", password="x")
    assert "none of allowed_domains" in refused.value.detail
    with pytest.raises(AuthenticationFailed) as refused:
        Flow(oidc(**GROUPS, allowed_groups=("board",))).sign_in(login="ada", password="x")
    assert "none of allowed_groups" in refused.value.detail


def test_the_secret_may_go_in_the_form(oidc: Make) -> None:
    person = Flow(oidc(client_id="stead-post", client_auth="post")).sign_in(login="ada", password="x")
    assert person.subject == "ada"


def test_a_wrong_secret_is_an_administrators_matter(oidc: Make) -> None:
    with pytest.raises(Unavailable, match="does not take Stead's own credentials") as refused:
        Flow(oidc(client_secret="wrong")).sign_in(login="ada", password="x")
    assert "wrong" not in str(refused.value).partition("(")[0]


def test_a_code_is_good_once(oidc: Make) -> None:
    flow = Flow(oidc())
    answer = flow.answer(login="ada", password="x")
    flow.complete(answer)
    with pytest.raises(AuthenticationFailed) as refused:
        flow.complete(answer)
    assert "invalid_grant" in refused.value.detail


def test_a_stolen_code_is_no_good_in_another_browser(oidc: Make) -> None:
    """The thief's own attempt has another PKCE verifier, which the provider checks."""
    provider = oidc()
    stolen = Flow(provider).answer(login="ada", password="x")
    thief = Flow(provider)
    thief.begin()
    with pytest.raises(AuthenticationFailed) as refused:
        thief.complete(stolen)
    assert "invalid_grant" in refused.value.detail


def test_a_token_of_another_attempt_is_refused(oidc: Make) -> None:
    """The nonce ties the token to this attempt: here a code and its verifier come with somebody else's."""
    provider = oidc()
    stolen, thief = Flow(provider), Flow(provider)
    answer = stolen.answer(login="ada", password="x")
    thief.begun = stolen.begun
    with pytest.raises(AuthenticationFailed) as refused:
        thief.complete(answer)
    assert "nonce" in refused.value.detail


def test_cancelling_says_so(oidc: Make, openid: OpenidPeer) -> None:
    flow = Flow(oidc())
    flow.begin()
    answer = {"error": "access_denied", "error_description": "End-User aborted interaction", "iss": openid.issuer}
    with pytest.raises(AuthenticationFailed, match="you cancelled") as refused:
        flow.complete(answer)
    assert "End-User aborted" in refused.value.detail


# Later


def test_a_look_up_sees_new_groups_and_then_the_end(npm_peers, tmp_path) -> None:
    with OpenidPeer(tmp_path) as peer:
        provider = OidcProvider(oidc_settings(peer.issuer, **GROUPS, **CONSENT))
        person = Flow(provider).sign_in(login="ada", password="x")
        assert person.kept["refresh_token"]
        peer.know(ada={**peer.people["ada"], "groups": ["sales"], "email": "ada@new.example"})
        later = provider.look_up(link_of(person), Trace())
        assert later is not None
        assert (later.subject, later.groups, later.email) == ("ada", ("sales",), "ada@new.example")
        assert later.session == person.session
        peer.know(ada={"email": "ada@new.example"})
        again = provider.look_up(link_of(later), Trace())
        assert again is not None
        assert again.groups == ()  # the provider told, and there are none
        peer.know(ada=None)
        with pytest.raises(AuthenticationFailed):
            provider.look_up(link_of(again), Trace())
        peer.stop()
        with pytest.raises(Unavailable):
            provider.look_up(link_of(again), Trace())
        provider.close()


def test_without_a_refresh_token_nothing_can_be_told(oidc: Make) -> None:
    provider = oidc()
    person = Flow(provider).sign_in(login="ada", password="x")
    assert "refresh_token" not in person.kept
    with pytest.raises(Unavailable, match="offline_access"):
        provider.look_up(link_of(person), Trace())


def test_new_keys_are_fetched_when_a_token_names_them(npm_peers, tmp_path) -> None:
    with OpenidPeer(tmp_path) as peer:
        provider = OidcProvider(oidc_settings(peer.issuer, key_refresh_interval=0))
        assert Flow(provider).sign_in(login="ada", password="x").subject == "ada"
        peer.stop()
        peer.keys = [signing_key("two")]
        peer.start()
        assert Flow(provider).sign_in(login="ada", password="x").subject == "ada"
        provider.close()


def test_signing_out_there_too_and_hearing_of_it(npm_peers, tmp_path) -> None:
    """RP-initiated and back-channel logout: the provider posts a logout token to the server."""
    posted: queue.Queue[dict[str, str]] = queue.Queue()

    def take(request: Request) -> Reply:
        posted.put(request.form)
        return Reply()

    with Server() as stead:
        stead.routes["POST /sign-in/corp/signed-out"] = take
        address = f"{stead.url}/sign-in/corp/signed-out"
        registered = client(
            "stead", backchannel_logout_uri=address, backchannel_logout_session_required=True
        )  # fmt: skip
        with OpenidPeer(tmp_path, [registered]) as peer, Browser() as browser:
            provider = OidcProvider(oidc_settings(peer.issuer))
            flow = Flow(provider)
            answer = browser.sign_in(flow.begin(), login="ada", password="x")
            person = flow.complete(answer)
            assert person.session
            leaving = provider.sign_out_url(link_of(person), FAREWELL, "state-of-the-farewell")
            assert leaving is not None
            assert "id_token_hint=" in leaving
            ended = browser.visit(leaving, logout="yes")
            assert ended == f"{FAREWELL}?state=state-of-the-farewell"
            signed_out = provider.signed_out(posted.get(timeout=60))
            provider.close()
    assert (signed_out.issuer, signed_out.subject, signed_out.session) == (peer.issuer, "ada", person.session)
    assert signed_out.once.startswith(peer.issuer)


def test_check_says_what_is_there(oidc: Make, openid: OpenidPeer, free_port: int) -> None:
    report = oidc().check()
    assert (report.ok, report.summary) == (True, f"{openid.issuer} answers, with 1 key for signatures.")
    down_url = f"http://127.0.0.1:{free_port}"
    down = OidcProvider(oidc_settings(down_url))
    assert not down.check().ok
    assert "cannot be reached" in down.check().summary
    assert down.sign_out_url(Link(down_url, "nobody", "", ""), FAREWELL, "s") is None
    down.close()

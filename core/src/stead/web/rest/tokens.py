"""API tokens of the person who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stead.domain.records import Page, Token
from stead.services import tokens
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import Name
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api, PageOf

api = Api("tokens")

_YEAR_SECONDS = 366 * 24 * 3600


class CreateToken(Input):
    """``lifetime`` is in seconds."""

    name: Name
    lifetime: Annotated[int, Field(ge=60, le=_YEAR_SECONDS)] = 30 * 24 * 3600


@dataclass(frozen=True)
class CreatedToken:
    """``secret`` is shown here and never again."""

    token: Token
    secret: str


@api.get("/users/me/tokens", "List your tokens", returns=PageOf(Token))
def list_tokens() -> Page:
    found = tuple(tokens.list(current_core(), current_actor()))
    return Page(items=found, total=len(found))


@api.post("/users/me/tokens", "Create a token", body=CreateToken, returns=CreatedToken, status=201)
def create_token(body: CreateToken) -> CreatedToken:
    token, secret = tokens.create(current_core(), current_actor(), name=body.name, lifetime=float(body.lifetime))
    return CreatedToken(token=token, secret=secret)


@api.delete("/users/me/tokens/<ref:ref>", "Revoke a token")
def delete_token(ref: str) -> None:
    tokens.delete(current_core(), current_actor(), ref)

"""Inputs and answers that several groups of routes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stead.domain.records import LogLine
from stead.web.rest.parsing import Input

MAX_LIMIT = 1000

Name = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(max_length=8192)]
Ref = Annotated[str, Field(min_length=1, max_length=256, description="An id or a name.")]
Password = Annotated[str, Field(min_length=1, max_length=1024, json_schema_extra={"format": "password"})]
Parameters = Annotated[
    dict[Annotated[str, Field(max_length=256)], Annotated[str, Field(max_length=65536)]],
    Field(max_length=500),
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many to answer at most.")]
Offset = Annotated[int, Field(ge=0, le=2**31 - 1, description="How many to leave out at the front.")]
Search = Annotated[str, Field(max_length=256, description="Only what matches this text.")]


class Paging(Input):
    limit: Limit = 100
    offset: Offset = 0


class SearchPaging(Paging):
    q: Search = ""


class LogQuery(Input):
    """A reader continues with the id of the last line that it has."""

    after: Annotated[int, Field(ge=0, description="Only lines with a greater id.")] = 0
    limit: Limit = MAX_LIMIT


class NoQuery(Input):
    """Of a route that takes nothing in the query."""


@dataclass(frozen=True)
class LogLines:
    items: tuple[LogLine, ...]

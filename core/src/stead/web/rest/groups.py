"""Groups and who is in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stead.domain.membership import LONGEST_GROUP
from stead.domain.records import Group, GroupMember, Page
from stead.services import groups
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import Paging, SearchPaging
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api, PageOf

api = Api("groups")


class NameGroup(Input):
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_GROUP)]


@api.get("/groups", "List groups", query=SearchPaging, returns=PageOf(Group))
def list_groups(query: SearchPaging) -> Page:
    """`source` is `local` where the group was made by hand, or the identity provider that brings it."""
    return groups.list(current_core(), current_actor(), query.q, query.limit, query.offset)


@api.post("/groups", "Create a group", body=NameGroup, returns=Group, status=201)
def create_group(body: NameGroup) -> Group:
    return groups.create(current_core(), current_actor(), body.name)


@api.get("/groups/<ref:ref>", "Show a group", returns=Group)
def get_group(ref: str) -> Group:
    return groups.get(current_core(), current_actor(), ref)


@api.patch("/groups/<ref:ref>", "Rename a group", body=NameGroup, returns=Group)
def rename_group(ref: str, body: NameGroup) -> Group:
    """Refused where an identity provider puts people into it by its name."""
    return groups.rename(current_core(), current_actor(), ref, body.name)


@api.delete("/groups/<ref:ref>", "Delete a group")
def delete_group(ref: str) -> None:
    """The people stay. Refused where an identity provider would make it again."""
    groups.delete(current_core(), current_actor(), ref)


@api.get("/groups/<ref:ref>/members", "List who is in a group", query=Paging, returns=PageOf(GroupMember))
def list_members(ref: str, query: Paging) -> Page:
    return groups.members(current_core(), current_actor(), ref, query.limit, query.offset)


@api.put("/groups/<ref:ref>/members/<ref:user>", "Put somebody into a group", returns=GroupMember)
def add_member(ref: str, user: str) -> GroupMember:
    """Refused for groups that an identity provider brings."""
    return groups.add_member(current_core(), current_actor(), ref, user)


@api.delete("/groups/<ref:ref>/members/<ref:user>", "Take somebody out of a group")
def remove_member(ref: str, user: str) -> None:
    """Refused where an identity provider says that they are in it."""
    groups.remove_member(current_core(), current_actor(), ref, user)

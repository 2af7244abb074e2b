"""Templates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stead.domain.records import Page, Template, TemplateVersion
from stead.services import templates
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import Name, Paging, Ref, SearchPaging, Text
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api, PageOf

api = Api("templates")

ShortText = Annotated[str, Field(max_length=256)]


class CreateTemplate(Input):
    """``version_id`` is that of a version whose import has succeeded."""

    name: Name
    version_id: Ref
    display_name: ShortText = ""
    description: Text = ""
    icon: Annotated[str, Field(max_length=1024)] = ""


class UpdateTemplate(Input):
    name: Name | None = None
    display_name: ShortText | None = None
    description: Text | None = None
    icon: Annotated[str, Field(max_length=1024)] | None = None
    deprecated: Text | None = None


@api.get("/templates", "List templates", query=SearchPaging, returns=PageOf(Template))
def list_templates(query: SearchPaging) -> Page:
    return templates.list(current_core(), current_actor(), search=query.q, limit=query.limit, offset=query.offset)


@api.post(
    "/templates",
    "Create a template from an imported version",
    body=CreateTemplate,
    returns=Template,
    status=201,
)
def create_template(body: CreateTemplate) -> Template:
    return templates.create(
        current_core(),
        current_actor(),
        name=body.name,
        version_id=body.version_id,
        display_name=body.display_name,
        description=body.description,
        icon=body.icon,
    )


@api.get("/templates/<ref:ref>", "Show a template", returns=Template)
def get_template(ref: str) -> Template:
    return templates.get(current_core(), current_actor(), ref)


@api.patch("/templates/<ref:ref>", "Change a template", body=UpdateTemplate, returns=Template)
def update_template(ref: str, body: UpdateTemplate) -> Template:
    return templates.update(current_core(), current_actor(), ref, **body.model_dump(exclude_unset=True))


@api.delete("/templates/<ref:ref>", "Delete a template that no workspace uses")
def delete_template(ref: str) -> None:
    templates.delete(current_core(), current_actor(), ref)


@api.get(
    "/templates/<ref:ref>/versions",
    "List a template's versions",
    query=Paging,
    returns=PageOf(TemplateVersion),
)
def list_versions(ref: str, query: Paging) -> Page:
    return templates.versions(current_core(), current_actor(), ref, limit=query.limit, offset=query.offset)

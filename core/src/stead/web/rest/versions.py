"""Template versions: upload, import, promote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from flask import Response, request
from pydantic import Field, field_validator

from stead.api.errors import Conflict, InvalidInput
from stead.domain.records import Template, TemplateVersion
from stead.services import builds, templates
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import LogLines, LogQuery, Parameters, Ref, Text
from stead.web.rest.parsing import Input, parse_body, parse_form
from stead.web.rest.routing import Api, Binary, Upload

api = Api("versions")

_FORM_OVERHEAD = 256 * 1024  # what the other parts of the form may take
_FORMS = frozenset({"multipart/form-data", "application/x-www-form-urlencoded"})
_PART = "archive"


class VersionFields(Input):
    """``template`` is the one that the version belongs to; without it, the version may become a new one."""

    name: Annotated[str, Field(max_length=128)] = ""
    message: Text = ""
    variables: Parameters = {}
    template: Ref | None = None

    @field_validator("variables", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """A form carries the variables as JSON text."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"it is not JSON: {error}") from error


class StarterVersion(VersionFields):
    """``starter`` is the id of a starter template, ``PLATFORM/NAME``."""

    starter: Annotated[str, Field(min_length=1, max_length=256)]


@api.post(
    "/template-versions",
    "Upload a template version and queue its import",
    body=StarterVersion,
    upload=Upload(_PART, VersionFields),
    returns=TemplateVersion,
    status=201,
)
def create_version() -> TemplateVersion:
    """A form with the part ``archive`` (tar, tar.gz, tar.zst or zip), or JSON that names a starter."""
    settings = current_core().settings
    request.max_content_length = min(settings.max_request_bytes, settings.max_archive_bytes + _FORM_OVERHEAD)
    if request.mimetype not in _FORMS:
        return _from_starter(parse_body(StarterVersion))
    if "starter" in request.form:
        return _from_starter(parse_form(StarterVersion))
    return _from_upload(parse_form(VersionFields))


def _from_upload(fields: VersionFields) -> TemplateVersion:
    if set(request.files) != {_PART}:
        raise InvalidInput(f"The form needs exactly one file, in the part {_PART}.", field=_PART)
    stream = request.files[_PART].stream
    stream.flush()
    return templates.create_version(
        current_core(),
        current_actor(),
        Path(str(stream.name)),
        name=fields.name,
        message=fields.message,
        variables=fields.variables,
        template=fields.template,
    )


def _from_starter(body: StarterVersion) -> TemplateVersion:
    core = current_core()
    return templates.create_version(
        core,
        current_actor(),
        templates.starter(core, body.starter).template.path,
        name=body.name,
        message=body.message,
        variables=body.variables,
        template=body.template,
    )


@api.get("/template-versions/<ref:ref>", "Show a template version", returns=TemplateVersion)
def get_version(ref: str) -> TemplateVersion:
    return templates.version(current_core(), current_actor(), ref)


@api.get("/template-versions/<ref:ref>/archive", "Download a version's files", returns=Binary("application/x-tar"))
def version_archive(ref: str) -> Response:
    return Response(templates.archive(current_core(), current_actor(), ref), mimetype="application/octet-stream")


@api.get("/template-versions/<ref:ref>/logs", "Read a version's import log", query=LogQuery, returns=LogLines)
def version_logs(ref: str, query: LogQuery) -> LogLines:
    core, actor = current_core(), current_actor()
    job = templates.version(core, actor, ref).job
    return LogLines(items=tuple(builds.logs(core, actor, job.id, after=query.after, limit=query.limit)))


@api.post("/template-versions/<ref:ref>/promote", "Make a version the active one", returns=Template)
def promote_version(ref: str) -> Template:
    core, actor = current_core(), current_actor()
    version = templates.version(core, actor, ref)
    if version.template_id is None:
        raise Conflict("This version belongs to no template.", remedy="Create one of it with POST /api/v2/templates.")
    return templates.promote(core, actor, version.template_id, version.id)


@api.post("/template-versions/<ref:ref>/cancel", "Ask an import to stop", returns=TemplateVersion)
def cancel_version(ref: str) -> TemplateVersion:
    return templates.cancel(current_core(), current_actor(), ref)

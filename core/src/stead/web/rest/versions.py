"""Template versions: upload, import, promote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from flask import Response, request
from pydantic import Field, field_validator

from stead.api.errors import InvalidInput
from stead.domain.records import Template, TemplateVersion
from stead.services import builds, templates
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import LogLines, LogQuery, Parameters, Ref, Text
from stead.web.rest.parsing import Input, parse_body, parse_form
from stead.web.rest.routing import Api, Binary, Upload

api = Api("versions")

_UPLOAD_OVERHEAD = 256 * 1024  # what the other parts of the form may take


class VersionFields(Input):
    """``template`` is the one that the version is meant for; without it the version is free to become a new one."""

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
    upload=Upload("archive", VersionFields),
    returns=TemplateVersion,
    status=201,
)
def create_version() -> TemplateVersion:
    """Takes a multipart form with the part ``archive`` (tar, tar.gz, tar.zst or zip), or JSON that names a starter."""
    if request.mimetype == "multipart/form-data":
        return _from_upload()
    return _from_starter(parse_body(StarterVersion))


def _from_upload() -> TemplateVersion:
    core, actor = current_core(), current_actor()
    templates.authorize_upload(core, actor)
    request.max_content_length = core.settings.template_archive_max_bytes + _UPLOAD_OVERHEAD
    fields = parse_form(VersionFields)
    unknown = set(request.files) - {"archive"}
    if unknown or "archive" not in request.files:
        raise InvalidInput("The form needs exactly one file, in the part archive.", field="archive")
    stream = request.files["archive"].stream
    stream.flush()
    return templates.create_version(
        core,
        actor,
        Path(stream.name),
        name=fields.name,
        message=fields.message,
        variables=fields.variables,
        template=fields.template,
    )


def _from_starter(body: StarterVersion) -> TemplateVersion:
    return templates.create_version_from_starter(
        current_core(),
        current_actor(),
        body.starter,
        name=body.name,
        message=body.message,
        variables=body.variables,
        template=body.template,
    )


@api.get("/template-versions/<ref:ref>", "Show a template version", returns=TemplateVersion)
def get_version(ref: str) -> TemplateVersion:
    return templates.version(current_core(), current_actor(), ref)


@api.get(
    "/template-versions/<ref:ref>/archive", "Download a version's files", returns=Binary("application/x-tar")
)
def version_archive(ref: str) -> Response:
    return Response(
        templates.archive(current_core(), current_actor(), ref), mimetype="application/octet-stream"
    )


@api.get("/template-versions/<ref:ref>/logs", "Read a version's import log", query=LogQuery, returns=LogLines)
def version_logs(ref: str, query: LogQuery) -> LogLines:
    core, actor = current_core(), current_actor()
    job = templates.version(core, actor, ref).job
    return LogLines(items=tuple(builds.logs(core, actor, job.id, after=query.after, limit=query.limit)))

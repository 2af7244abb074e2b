"""Plan, create, update and delete of one resource, with the journal around what exists outside."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from tf.gen import tfplugin_pb2 as pb

from stead.api.errors import ProviderFailure
from stead.api.provider.context import Context, Plan
from stead.api.provider.fields import Attribute
from stead.api.provider.model import Model
from stead.api.provider.resources import Resource, overrides
from stead.api.provider.values import Unknown
from stead.terraform.journal import JournalEntry
from stead.terraform.serving import reports
from stead.terraform.serving.planning import changed_fields, forced_fields, planned
from stead.terraform.serving.session import Link
from stead.terraform.serving.wire import pack

_DISCARD_TIMEOUT = 120.0


@dataclass(frozen=True)
class Change:
    raw: dict[str, Any]
    replacing: set[str]


def key_of(private: bytes) -> str:
    """The journal key, which travels in Terraform's private state."""
    return str(json.loads(private).get("key", "")) if private else ""


def plan(prior: Resource | None, config: Resource, context: Context) -> Change:
    """The planned state, and which fields replace the resource."""
    result = planned(prior, config)
    if prior is None:
        result.plan(context, Plan("create"))
        return Change(result.encode(), set())
    changed = changed_fields(prior, result)
    replacing = _replacing(prior, result)
    action = "replace" if replacing else "update" if changed else "none"
    asked = Plan(action, prior=prior, changed=changed)
    result.plan(context, asked)
    return Change(result.encode(), _replacing(prior, result) - asked.in_place | asked.replacing)


def _replacing(prior: Resource, result: Resource) -> set[str]:
    """A class without ``update`` is replaced on every change of what a template can set."""
    if overrides(type(prior), Resource, "update"):
        return forced_fields(prior, result)
    schema = result.schema()
    changed = changed_fields(prior, result)
    return {name for name in changed if name in schema.blocks or _settable(schema.attributes[name])}


def _settable(attribute: Attribute) -> bool:
    return attribute.required or attribute.optional


def create(instance: Resource, link: Link) -> Any:
    """Create under a fresh key. The journal has each step before anybody else does."""
    session, kind = link.session, type(instance)
    key = "" if kind.virtual else session.new_key()
    context = link.context(key)
    if key:
        session.journal.intend(key, link.spec.full_address, kind.type_name, _hint(instance))
    try:
        context.check()
        instance.create(context)
    except Exception as failure:  # noqa: BLE001 - boundary: a provider's code
        return _failed_create(instance, failure, link, key)
    raw, missing = settled(instance)
    if context.key != key:
        session.journal.deleted(key)
    elif key:
        session.journal.created(key, instance.identity, json.dumps(as_json(raw)))
    diagnostics = [reports.of_unassigned(kind, path) for path in missing]
    return _applied(raw, context.key, context, kind, diagnostics)


def _failed_create(instance: Resource, failure: Exception, link: Link, key: str) -> Any:
    """What exists in spite of the failure goes to Terraform as tainted, so that it will be removed."""
    if not instance.identity:
        if key:
            link.session.journal.failed(key)
        raise failure
    raw, _ = settled(instance)
    if key:
        link.session.journal.created(key, instance.identity, json.dumps(as_json(raw)))
    return _applied(raw, key, link.context(key), type(instance), [reports.of_failure(failure, link, type(instance))])


def update(instance: Resource, prior: Resource, request: Any, link: Link) -> Any:
    kind = type(instance)
    context = link.context(key_of(request.planned_private))
    try:
        context.check()
        instance.update(context, prior)
    except Exception as failure:  # noqa: BLE001 - boundary: a provider's code
        # Terraform keeps the prior state where an update fails without a new one.
        diagnostics = [reports.of_failure(failure, link, kind)]
        return pb.ApplyResourceChange.Response(
            new_state=request.prior_state, private=request.planned_private, diagnostics=diagnostics
        )
    raw, missing = settled(instance)
    return _applied(raw, context.key, context, kind, [reports.of_unassigned(kind, path) for path in missing])


def delete(prior: Resource, request: Any, link: Link) -> Any:
    context = link.context(key_of(request.planned_private))
    try:
        context.check()
        prior.delete(context)
    except Exception as failure:  # noqa: BLE001 - boundary: a provider's code
        diagnostics = [reports.of_failure(failure, link, type(prior))]
        return pb.ApplyResourceChange.Response(
            new_state=request.prior_state, private=request.planned_private, diagnostics=diagnostics
        )
    if context.key:
        link.session.journal.deleted(context.key)
    return _applied(None, "", context, type(prior), [])


def settled(instance: Model) -> tuple[dict[str, Any], list[str]]:
    """The wire form of what exists, and the names of fields that were left unknown; they are sent as null."""
    for attribute in instance.schema().attributes.values():
        if attribute.write_only:
            setattr(instance, attribute.key, None)
    raw = instance.encode()
    missing = [name for name, value in raw.items() if _has_unknown(value)]
    return {name: _known(value) for name, value in raw.items()}, missing


def _has_unknown(raw: Any) -> bool:
    if isinstance(raw, dict):
        return any(map(_has_unknown, raw.values()))
    return any(map(_has_unknown, raw)) if isinstance(raw, list) else raw is Unknown


def _known(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {key: _known(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_known(value) for value in raw]
    return None if raw is Unknown else raw


def as_json(raw: Any) -> Any:
    """The wire form as Terraform's JSON: a dynamic value is an object of its value and type."""
    if isinstance(raw, dict):
        return {key: as_json(value) for key, value in raw.items()}
    if isinstance(raw, list):
        if len(raw) == 2 and isinstance(raw[0], bytes):
            return {"value": as_json(raw[1]), "type": json.loads(raw[0])}
        return [as_json(value) for value in raw]
    return raw


def _applied(
    raw: dict[str, Any] | None,
    key: str,
    context: Context,
    kind: type[Model],
    diagnostics: list[pb.Diagnostic],
) -> Any:
    return pb.ApplyResourceChange.Response(
        new_state=pack(raw),
        private=json.dumps({"key": key}).encode() if key else b"",
        diagnostics=[*reports.of_context(context, kind), *diagnostics],
    )


def _hint(instance: Resource) -> str:
    """Something to recognise the resource by: the protocol does not tell its address."""
    name = getattr(instance, "name", None)
    return f'{instance.type_name} "{name}"' if isinstance(name, str) else instance.type_name


def discard(entry: JournalEntry, link: Link) -> None:
    """Delete what the journal knows and the state does not, with a configured provider."""
    kind = next((item for item in link.kind.resources if item.type_name == entry.type_name), None)
    if kind is None:
        raise ProviderFailure(f"{link.spec.address} has no resource type {entry.type_name} any more.")
    # The run may be over, canceled or late; cleaning up after it has a time of its own.
    context = replace(link.context(entry.key), canceled=threading.Event(), deadline=time.monotonic() + _DISCARD_TIMEOUT)
    if entry.state_json:
        found: Resource | None = kind.decode(json.loads(entry.state_json))
    else:
        found = kind.import_(context, entry.identity)
    if found is not None:
        found.delete(context)
    link.session.journal.deleted(entry.key)

"""Data source: a policy as a template writes it."""

from __future__ import annotations

import json
import zlib
from typing import Any

from stead.api.errors import ProviderFailure
from stead.api.provider import BlockSchema, Context, DataSource, Nesting, attribute, block, one_of

Statement = dict[str, Any]


class Principal(BlockSchema):
    """Who."""

    type: str = attribute(required=True, description="AWS, Service, Federated, CanonicalUser or *.")
    identifiers: set[str] = attribute(required=True, description="Their names.")


class Condition(BlockSchema):
    """When."""

    test: str = attribute(required=True, description="StringEquals and the like.")
    variable: str = attribute(required=True, description="What is compared.")
    values: list[str] = attribute(required=True, description="With what.")


class StatementBlock(BlockSchema):
    """A statement."""

    sid: str | None = attribute(optional=True, description="Its name.")
    effect: str = attribute(default="Allow", validators=[one_of("Allow", "Deny")], description="Allow or Deny.")
    actions: set[str] | None = attribute(optional=True, description="What.")
    not_actions: set[str] | None = attribute(optional=True, description="Everything but.")
    resources: set[str] | None = attribute(optional=True, description="On what.")
    not_resources: set[str] | None = attribute(optional=True, description="On everything but.")
    principals: list[Principal] = block(Principal, nesting=Nesting.SET)
    not_principals: list[Principal] = block(Principal, nesting=Nesting.SET)
    condition: list[Condition] = block(Condition, nesting=Nesting.SET)

    def to_json(self) -> Statement:
        """In AWS's order of members; names of one are plain, names of several are lists."""
        members = {
            "Sid": self.sid,
            "Effect": self.effect or "Allow",
            "Action": _names(self.actions),
            "NotAction": _names(self.not_actions),
            "Resource": _names(self.resources),
            "NotResource": _names(self.not_resources),
            "Principal": _principals(self.principals),
            "NotPrincipal": _principals(self.not_principals),
            "Condition": _conditions(self.condition),
        }
        return {name: value for name, value in members.items() if value}


def _variables(text: str) -> str:
    """Terraform keeps ``${`` to itself, so templates write policy variables as ``&{``."""
    return text.replace("&{", "${")


def _names(values: set[str] | None) -> Any:
    items = sorted((_variables(item) for item in values or ()), reverse=True)
    return items[0] if len(items) == 1 else items


def _principals(blocks: list[Principal]) -> Any:
    found: dict[str, Any] = {}
    for item in blocks:
        if item.type == "*" and set(item.identifiers) == {"*"}:
            return "*"
        both = {*_listed(found.get(item.type)), *item.identifiers}
        found[item.type] = _names(both)
    return dict(sorted(found.items()))


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _conditions(blocks: list[Condition]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for item in blocks:
        values = [_variables(value) for value in item.values]
        merged = [*_listed(found.get(item.test, {}).get(item.variable)), *values]
        found.setdefault(item.test, {})[item.variable] = merged[0] if len(merged) == 1 else merged
    return {test: dict(sorted(entries.items())) for test, entries in sorted(found.items())}


class PolicyDocument(DataSource, name="aws_iam_policy_document"):
    """A policy: who may do what, on what, and when. Asks nobody."""

    id: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    version: str | None = attribute(
        default="2012-10-17", validators=[one_of("2008-10-17", "2012-10-17")], description="Of the language."
    )
    policy_id: str | None = attribute(optional=True, description="Its id.")
    statement: list[StatementBlock] = block(StatementBlock)
    source_json: str | None = attribute(
        optional=True, deprecated="use source_policy_documents", description="A document to begin with."
    )
    override_json: str | None = attribute(
        optional=True, deprecated="use override_policy_documents", description="A document that wins."
    )
    source_policy_documents: list[str] | None = attribute(optional=True, description="Documents to begin with.")
    override_policy_documents: list[str] | None = attribute(optional=True, description="Documents that win.")
    json: str | None = attribute(computed=True)
    minified_json: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        del context
        statements: list[Statement] = []
        sources = [*(self.source_policy_documents or ()), *([self.source_json] if self.source_json else ())]
        for text in sources:
            for entry in _statements(text, "source_policy_documents"):
                _add(statements, entry, replace=False)
        for own in self.statement:
            _add(statements, own.to_json(), replace=True)
        overrides = [*(self.override_policy_documents or ()), *([self.override_json] if self.override_json else ())]
        for text in overrides:
            for entry in _statements(text, "override_policy_documents"):
                _add(statements, entry, replace=True)
        self._write(statements)

    def _write(self, statements: list[Statement]) -> None:
        document: dict[str, Any] = {"Version": self.version or "2012-10-17"}
        if self.policy_id:
            document["Id"] = self.policy_id
        if statements:
            document["Statement"] = statements
        self.json = json.dumps(document, indent=2)
        self.minified_json = json.dumps(document, separators=(",", ":"))
        self.id = str(zlib.crc32(self.json.encode()))


def _statements(text: str, field: str) -> list[Statement]:
    if not text:
        return []
    try:
        found = json.loads(text).get("Statement", [])
    except (ValueError, AttributeError) as error:
        raise ProviderFailure(f"A document is no policy: {error}.", field=field) from error
    return found if isinstance(found, list) else [found]


def _add(statements: list[Statement], entry: Statement, *, replace: bool) -> None:
    """A statement with the name of another one takes its place."""
    sid = entry.get("Sid")
    for index, other in enumerate(statements):
        if sid and other.get("Sid") == sid:
            if not replace:
                raise ProviderFailure(f"Two source documents have a statement {sid}.", field="source_policy_documents")
            statements[index] = entry
            return
    statements.append(entry)

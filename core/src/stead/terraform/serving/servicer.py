"""The provider protocol's calls, answered by declarative classes."""

# ruff: noqa: N802 - the protocol names the methods

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from stead.api.errors import SteadError
from stead.api.provider.context import Context
from stead.api.provider.model import Model, decode_field
from stead.api.provider.resources import DataSource, Resource
from stead.api.provider.values import is_wholly_known
from stead.terraform.serving import functions, lifecycle, reports
from stead.terraform.serving.checks import check
from stead.terraform.serving.planning import defaulted
from stead.terraform.serving.schemas import provider_schema
from stead.terraform.serving.session import Link
from stead.terraform.serving.wire import error, from_failure, pack, path_of, unpack, warning


class Failed(Exception):
    """The call ends here with these diagnostics."""

    def __init__(self, *diagnostics: pb.Diagnostic) -> None:
        super().__init__("failed")
        self.diagnostics = diagnostics


def answering(response: Any) -> Callable[[Any], Any]:
    """The boundary to provider code: whatever it raises becomes a diagnostic of ``response``."""

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        def call(self: Servicer, request: Any, connection: Any) -> Any:
            try:
                link = self.link(connection.peer())
            except SteadError as failure:
                return response(diagnostics=[error(failure.message, failure.remedy or "")])
            try:
                return method(self, request, link)
            except Failed as failed:
                return response(diagnostics=failed.diagnostics)
            except Exception as failure:  # noqa: BLE001 - boundary: a provider's code
                return response(diagnostics=[reports.of_failure(failure, link, self.model_of(link, request))])

        return call

    return decorate


class Servicer(rpc.ProviderServicer):  # type: ignore[misc]
    """Answers for all providers of a run; ``links`` finds the connection's own by the name of its peer."""

    def __init__(self, links: Callable[[str], Link]) -> None:
        self.link = links

    @staticmethod
    def model_of(link: Link, request: Any) -> type[Model]:
        name = getattr(request, "type_name", "")
        kinds: tuple[type[Model], ...] = (*link.kind.resources, *link.kind.data_sources)
        return next((kind for kind in kinds if getattr(kind, "type_name", "") == name), link.kind)

    # The provider

    @answering(pb.GetMetadata.Response)
    def GetMetadata(self, request: Any, link: Link) -> Any:
        del request
        known = provider_schema(link.kind)
        return pb.GetMetadata.Response(
            server_capabilities=known.server_capabilities,
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in known.resource_schemas],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in known.data_source_schemas],
            functions=[pb.GetMetadata.FunctionMetadata(name=name) for name in known.functions],
        )

    @answering(pb.GetProviderSchema.Response)
    def GetProviderSchema(self, request: Any, link: Link) -> Any:
        del request
        return provider_schema(link.kind)

    @answering(pb.ValidateProviderConfig.Response)
    def ValidateProviderConfig(self, request: Any, link: Link) -> Any:
        config = decode(link.kind, unpack(request.config))
        return pb.ValidateProviderConfig.Response(diagnostics=validate(config, link.context()))

    @answering(pb.ConfigureProvider.Response)
    def ConfigureProvider(self, request: Any, link: Link) -> Any:
        config = defaulted(decode(link.kind, unpack(request.config)))
        for key in link.kind.__stead_fields__:
            setattr(link.provider, key, getattr(config, key))
        context = link.context()
        link.waits_for = tuple(
            field.name for field in config.schema() if not is_wholly_known(getattr(config, field.key))
        )
        if not link.waits_for:
            link.provider.configure(context)
            link.configured = True
        return pb.ConfigureProvider.Response(diagnostics=reports.of_context(context, link.kind))

    @answering(lambda diagnostics: pb.StopProvider.Response(Error="; ".join(d.summary for d in diagnostics)))
    def StopProvider(self, request: Any, link: Link) -> Any:
        del request
        link.session.stopping.set()
        return pb.StopProvider.Response()

    # Data sources

    @answering(pb.ValidateDataResourceConfig.Response)
    def ValidateDataResourceConfig(self, request: Any, link: Link) -> Any:
        config = decode(data_source(link, request.type_name), unpack(request.config))
        return pb.ValidateDataResourceConfig.Response(diagnostics=validate(config, link.context()))

    @answering(pb.ReadDataSource.Response)
    def ReadDataSource(self, request: Any, link: Link) -> Any:
        require_configured(link)
        kind = data_source(link, request.type_name)
        instance = defaulted(decode(kind, unpack(request.config)))
        context = link.context()
        instance.read(context)
        raw, unassigned = lifecycle.settled(instance)
        diagnostics = reports.of_context(context, kind) + [reports.of_unassigned(kind, path) for path in unassigned]
        return pb.ReadDataSource.Response(state=pack(raw), diagnostics=diagnostics)

    # Resources

    @answering(pb.ValidateResourceConfig.Response)
    def ValidateResourceConfig(self, request: Any, link: Link) -> Any:
        config = decode(resource(link, request.type_name), unpack(request.config))
        return pb.ValidateResourceConfig.Response(diagnostics=validate(config, link.context()))

    @answering(pb.UpgradeResourceState.Response)
    def UpgradeResourceState(self, request: Any, link: Link) -> Any:
        kind = resource(link, request.type_name)
        state = json.loads(request.raw_state.json)
        if request.version < kind.schema_version:
            state = kind.upgrade(request.version, state)
        return pb.UpgradeResourceState.Response(upgraded_state=pack(decode(kind, state).encode()))

    @answering(pb.ReadResource.Response)
    def ReadResource(self, request: Any, link: Link) -> Any:
        require_configured(link)
        kind = resource(link, request.type_name)
        instance = decode(kind, unpack(request.current_state))
        context = link.context(lifecycle.key_of(request.private))
        exists = instance.read(context)
        raw, _ = lifecycle.settled(instance) if exists else (None, [])
        return pb.ReadResource.Response(
            new_state=pack(raw), private=request.private, diagnostics=reports.of_context(context, kind)
        )

    @answering(pb.PlanResourceChange.Response)
    def PlanResourceChange(self, request: Any, link: Link) -> Any:
        raw_prior, proposed = unpack(request.prior_state), unpack(request.proposed_new_state)
        if proposed is None:
            return pb.PlanResourceChange.Response(planned_state=pack(None), planned_private=request.prior_private)
        kind = resource(link, request.type_name)
        prior = None if raw_prior is None else decode(kind, raw_prior)
        context = link.context(lifecycle.key_of(request.prior_private))
        change = lifecycle.plan(prior, decode(kind, unpack(request.config)), context)
        return pb.PlanResourceChange.Response(
            planned_state=pack(change.raw),
            requires_replace=[path_of(name, kind) for name in sorted(change.replacing)],
            planned_private=request.prior_private,
            diagnostics=reports.of_context(context, kind),
        )

    @answering(pb.ApplyResourceChange.Response)
    def ApplyResourceChange(self, request: Any, link: Link) -> Any:
        kind = resource(link, request.type_name)
        raw_prior, raw_planned = unpack(request.prior_state), unpack(request.planned_state)
        if raw_planned is None:
            return lifecycle.delete(decode(kind, raw_prior), request, link)
        plan, config = decode(kind, raw_planned), decode(kind, unpack(request.config))
        for attribute in kind.schema().attributes.values():
            if attribute.write_only:
                setattr(plan, attribute.key, getattr(config, attribute.key))
        if raw_prior is None:
            return lifecycle.create(plan, link)
        return lifecycle.update(plan, decode(kind, raw_prior), request, link)

    @answering(pb.ImportResourceState.Response)
    def ImportResourceState(self, request: Any, link: Link) -> Any:
        require_configured(link)
        kind = resource(link, request.type_name)
        context = link.context()
        found = kind.import_(context, request.id)
        if found is None:
            raise Failed(error(f"There is no {request.type_name} called {request.id}."))
        raw, _ = lifecycle.settled(found)
        imported = pb.ImportResourceState.ImportedResource(type_name=request.type_name, state=pack(raw))
        return pb.ImportResourceState.Response(
            imported_resources=[imported], diagnostics=reports.of_context(context, kind)
        )

    @answering(pb.MoveResourceState.Response)
    def MoveResourceState(self, request: Any, link: Link) -> Any:
        raise Failed(error(f"{link.spec.address} cannot take over a {request.source_type_name}."))

    # Functions

    def GetFunctions(self, request: Any, connection: Any) -> Any:
        del request
        known = provider_schema(self.link(connection.peer()).kind)
        return pb.GetFunctions.Response(functions=known.functions)

    def CallFunction(self, request: Any, connection: Any) -> Any:
        link = self.link(connection.peer())
        function = next(item for item in link.kind.functions if item.__name__ == request.name)
        try:
            return functions.call(function, request)
        except Exception as failure:  # noqa: BLE001 - boundary: a provider's code
            text = reports.of_failure(failure, link, link.kind).summary
            return pb.CallFunction.Response(error=pb.FunctionError(text=text))


def require_configured(link: Link) -> None:
    """A provider whose configuration is not known yet cannot be asked for anything that exists."""
    if link.waits_for:
        names = ", ".join(link.waits_for)
        raise Failed(
            error(
                f"The provider {link.spec.address} cannot be used yet: {names} is known only after apply.",
                "Take the value from a variable or a parameter, or from a data source that can be read at once.",
            )
        )


def resource(link: Link, type_name: str) -> type[Resource]:
    return next(kind for kind in link.kind.resources if kind.type_name == type_name)


def data_source(link: Link, type_name: str) -> type[DataSource]:
    return next(kind for kind in link.kind.data_sources if kind.type_name == type_name)


def decode(kind: type[Any], raw: Any) -> Any:
    """An instance from the wire; a value that does not fit is the template's fault and names its field."""
    instance = kind()
    problems = []
    for field in kind.schema():
        if field.name not in raw:
            continue
        try:
            setattr(instance, field.key, decode_field(field, raw[field.name]))
        except (TypeError, ValueError) as refused:
            problems.append(error(f"{field.name} {refused}.", path=path_of(field.name, kind)))
    if problems:
        raise Failed(*problems)
    return instance


def validate(config: Any, context: Context) -> list[pb.Diagnostic]:
    """What the declarations demand, then what the class itself checks."""
    kind = type(config)
    findings = check(config)
    found = [warning(text, path=path_of(path, kind)) for text, path in findings.warnings]
    found += [error(text, path=path_of(path, kind)) for text, path in findings.errors]
    if not findings.errors:
        try:
            config.validate(context)
        except SteadError as failure:
            found.append(from_failure(failure, kind))
    return found + reports.of_context(context, kind)

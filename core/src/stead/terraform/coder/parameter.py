"""``coder_parameter``: a question that a template asks whoever builds a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stead.api.errors import InvalidInput
from stead.api.provider import (
    BlockSchema,
    Context,
    DataSource,
    Nesting,
    ParameterOption,
    ParameterReading,
    attribute,
    block,
    is_known,
    is_wholly_known,
    non_empty,
    one_of,
)
from stead.terraform.coder import checks
from stead.terraform.coder import parameter_rules as rules
from stead.terraform.coder.parameter_rules import ParameterProblem
from stead.terraform.coder.records import stable_id


class Option(BlockSchema):
    name: str = attribute(required=True, force_new=True)
    description: str | None = attribute(optional=True, force_new=True)
    value: str = attribute(required=True, force_new=True)
    icon: str | None = attribute(optional=True, force_new=True, validators=[checks.url])


class Validation(BlockSchema):
    min: int | None = attribute(optional=True)
    min_disabled: bool = attribute(computed=True)
    max: int | None = attribute(optional=True)
    max_disabled: bool = attribute(computed=True)
    monotonic: str | None = attribute(optional=True, validators=[one_of(rules.INCREASING, rules.DECREASING)])
    regex: str | None = attribute(
        optional=True, conflicts_with=["min", "max", "monotonic"], description="In the syntax of RE2."
    )
    error: str | None = attribute(
        optional=True,
        description="Shown where a value does not pass; {min}, {max} and {value} are filled in.",
    )

    def plain(self) -> dict[str, Any]:
        """The rules that are set."""
        given = {name: getattr(self, name) for name in ("min", "max", "monotonic", "regex", "error")}
        return {name: value for name, value in given.items() if value is not None}


class Parameter(DataSource, name="coder_parameter"):
    """A question to whoever builds a workspace. ``value`` is the answer."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, validators=[non_empty])
    display_name: str | None = attribute(optional=True)
    description: str | None = attribute(optional=True, description="Markdown.")
    type: str = attribute(default=rules.STRING, validators=[one_of(*rules.TYPES)])
    form_type: str = attribute(default="", validators=[one_of(*rules.ALL_FORM_TYPES)])
    styling: str = attribute(default="{}", description="Cosmetic settings of the form, as JSON.")
    mutable: bool = attribute(default=False, description="Whether it may change after the first build.")
    default: str | None = attribute(optional=True)
    icon: str | None = attribute(optional=True, force_new=True, validators=[checks.url])
    order: int | None = attribute(optional=True)
    ephemeral: bool = attribute(
        default=False,
        description="Whether the value holds for one build only, and then is the default again.",
    )
    option: list[Option] = block(Option, nesting=Nesting.LIST)
    validation: list[Validation] = block(Validation, nesting=Nesting.LIST, max_items=1)
    value: str = attribute(computed=True)
    optional: bool = attribute(computed=True, description="Whether there is a default.")

    def validate(self, context: Context) -> None:
        """Find mistakes of the template before anything runs, as far as its values are known by then."""
        del context
        if is_wholly_known(self.option) and is_wholly_known(self.validation) and checks.all_known(*self._scalars()):
            rules.check_declaration(self._declared())

    def read(self, context: Context) -> None:
        declared = self._declared()
        given = context.build.parameters.get(self.name)
        value = declared.default if given is None else given
        self.id = stable_id(context.build, "parameter", self.name)
        self.form_type = declared.form_type
        self.optional = not declared.required
        for validation in self.validation:
            validation.min_disabled = validation.min is None
            validation.max_disabled = validation.max is None
        context.build.recorder.parameter(replace(declared, value=value))
        rules.check_declaration(declared)
        self._check(context, declared, value)
        self.value = rules.placeholder(declared) if value is None else value

    def _check(self, context: Context, declared: ParameterReading, value: str | None) -> None:
        """Only a start is held to the rules: what runs must stay possible to stop and to delete."""
        build = context.build
        if build.transition != "start":
            return
        if value is None:
            if not build.importing:
                raise InvalidInput(
                    f"The parameter {self.name!r} has no value, and it has no default.",
                    field=self.name,
                    remedy="Give it a value.",
                )
            return
        try:
            rules.check_value(declared, value, build.previous_parameters.get(self.name))
        except ParameterProblem as problem:
            masked = declared.styling.get("mask_input") is True
            reason = "The value breaks its rules. It is masked, so it is not shown here." if masked else str(problem)
            raise InvalidInput(f"Parameter {self.name!r}: {reason}", field=self.name) from None

    def _scalars(self) -> tuple[object, ...]:
        return (self.type, self.form_type, self.styling, self.mutable, self.default, self.ephemeral)

    def _declared(self) -> ParameterReading:
        """The declaration as a record, with the form type that applies."""
        options = tuple(
            ParameterOption(option.name, option.value, option.description or "", option.icon or "")
            for option in self.option
        )
        type_name = self.type if self.type in rules.TYPES else rules.STRING
        return ParameterReading(
            name=_text(self.name),
            display_name=_text(self.display_name),
            description=_text(self.description),
            type=type_name,
            form_type=rules.resolve_form_type(type_name, self.form_type or "", has_options=bool(options)),
            default=self.default,
            required=self.default is None,
            mutable=bool(self.mutable),
            ephemeral=bool(self.ephemeral),
            icon=_text(self.icon),
            order=self.order or 0 if is_known(self.order) else 0,
            options=options,
            validation=self.validation[0].plain() if self.validation else None,
            styling=rules.styling(self.styling or "{}"),
        )


def _text(value: str | None) -> str:
    """Text that may be null, or unknown while the template is checked before its run."""
    return value if isinstance(value, str) else ""

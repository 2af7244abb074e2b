"""What every Terraform provider must do, for each of its resource types."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from stead.api import ProviderSpec
from stead.api.errors import SteadError
from stead.api.provider import Resource
from stead.api.provider.fields import Attribute, Block, Nesting
from stead.api.provider.model import Model, encode_field
from stead.api.provider.resources import overrides
from stead.testing.conformance.base import Conformance
from stead.testing.conformance.life import live
from stead.testing.conformance.rig import Rig, Sample


class ProviderConformance(Conformance):
    """Inherit it as ``class TestSomething``, and set ``plugin`` and ``samples``."""

    # What an author overrides

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """While this is open, a creation reaches the platform and then dies.

        As it stands the creation ends well and its result is lost, as when the process is killed. Better: let the
        answer get lost at the platform's edge.
        """
        del rig, type_name
        yield

    def sdk_errors(self) -> Iterable[Exception]:
        """An instance of every exception that the SDK has; :func:`exceptions_of` makes them."""
        return ()

    def translate(self, error: Exception) -> Exception:
        """What the plugin makes of an exception of the SDK."""
        raise NotImplementedError("sdk_errors() gives some, so translate() must say what becomes of them")

    # The suite

    def test_every_resource_type_has_a_sample(self, provider_spec: ProviderSpec, settings: Any) -> None:
        types = {kind.type_name for kind in type(provider_spec.factory(settings)).resources}
        assert types == set(self.samples) | set(self.unsampled), "each type is in `samples` or, with a reason, not"

    def test_every_resource_type_and_argument_is_described(self, provider_spec: ProviderSpec, settings: Any) -> None:
        kind = type(provider_spec.factory(settings))
        for model in (*kind.resources, *kind.data_sources):
            assert model.schema().description, f"{model.__name__} has no docstring"

    def test_created_twice_is_one(self, rig: Rig, type_name: str) -> None:
        config, key = self._config(rig, type_name), rig.key()
        first = rig.create(config, key)
        owned = _kinds(rig, key)
        again = rig.create(config, key)
        assert first.identity or type(first).virtual, "a resource that was created has an identity"
        assert again.read(rig.context(key)), "what the second creation tells of is not there"
        if not type(first).virtual:
            assert _kinds(rig, key) == owned, "the second creation made something more"
            assert again.identity == first.identity or not first.read(rig.context(key)), "there are two of it"

    def test_what_is_created_carries_its_key(self, rig: Rig, type_name: str) -> None:
        config, key = self._config(rig, type_name), rig.key()
        rig.create(config, key)
        if rig.platform is None or not self.samples[type_name].labelled:
            assert not rig.owned(key)
            return
        owned = rig.owned(key)
        assert owned, "the owned listing does not tell of it"
        assert {item.deployment for item in owned} == {rig.name}
        assert all(key in item.labels.values() for item in owned), "the label with the key is among the labels"

    def test_a_creation_that_dies_midway_is_found(self, rig: Rig, type_name: str) -> None:
        config, key = self._config(rig, type_name), rig.key()
        with self.midway(rig, type_name), suppress(SteadError):
            rig.create(config, key)
        if rig.platform is None or not self.samples[type_name].labelled:
            return
        assert rig.owned(key), "the owned listing does not tell of what was made before the creation died"
        rig.destroy_owned(key)
        rig.destroy_owned(key)
        assert not rig.owned(key)

    def test_a_creation_that_died_midway_is_finished_by_the_next(self, rig: Rig, type_name: str) -> None:
        config, key = self._config(rig, type_name), rig.key()
        with self.midway(rig, type_name), suppress(SteadError):
            rig.create(config, key)
        made = rig.create(config, key)
        assert made.read(rig.context(key))
        names = [item.identity for item in rig.owned(key) if item.type_name == type_name]
        assert len(names) <= 1, "there are two of it"

    def test_destroyed_twice_is_fine(self, rig: Rig, type_name: str) -> None:
        key = rig.key()
        made = rig.create(self._config(rig, type_name), key)
        before = copy.deepcopy(made)
        made.delete(rig.context(key))
        made.delete(rig.context(key))
        before.delete(rig.context(key))
        if self.samples[type_name].outlives:
            return
        assert not rig.owned(key), "it is still there"
        if not type(made).virtual:
            assert not copy.deepcopy(before).read(rig.context(key)), "reading says that it is still there"
            assert self._import(rig, before) is None, "importing says that it is still there"

    def test_a_change_is_read_back(self, rig: Rig, type_name: str) -> None:
        change, key = self.samples[type_name].change, rig.key()
        config = self._config(rig, type_name)
        made = rig.create(config, key)
        before = copy.deepcopy(made)
        assert made.read(rig.context(key)), "what was just created is not there"
        assert made == before, _difference(before, made)
        for name, value in change.items():
            setattr(config, name, copy.deepcopy(value))
        result = rig.planned_change(made, config) if change else None
        if result is None:
            return
        result.update(rig.context(key), copy.deepcopy(made))
        seen = copy.deepcopy(before)
        assert seen.read(rig.context(key))
        told = _told(type(made), change, self.samples[type_name].not_imported)
        assert not told & _differing(seen, result), f"it reads as before the change: {_difference(seen, result)}"
        assert result.read(rig.context(key))
        assert not told & _differing(seen, result), f"it is not what was set: {_difference(seen, result)}"

    def test_imported_it_is_what_it_was(self, rig: Rig, type_name: str) -> None:
        key = rig.key()
        made = rig.create(self._config(rig, type_name), key)
        if not overrides(type(made), Resource, "import_"):
            return  # Terraform says so to whoever tries
        assert made.read(rig.context(key))
        found = self._import(rig, made)
        assert found is not None, "nothing is imported under its own identity"
        found.read(rig.context(key))
        different = _differing(made, found) - self.samples[type_name].not_imported
        assert not different, _difference(made, found)

    def test_nothing_shows_what_is_sensitive(self, rig: Rig, type_name: str) -> None:
        made = rig.planned(self._config(rig, type_name))
        shown = repr(made) + repr(rig.settings) + repr(rig.provider)
        secret = {*rig.secrets(), *_sensitive(made)}
        assert not [text for text in secret if text in shown]

    def test_every_error_of_the_sdk_becomes_one_of_ours(self) -> None:
        errors = list(self.sdk_errors())
        if not errors:
            pytest.skip("no SDK: sdk_errors() gives none")
        for error in errors:
            failure = self.translate(error)
            assert isinstance(failure, SteadError), f"{type(error).__qualname__} becomes {type(failure).__qualname__}"
            assert failure.message, type(error).__qualname__

    @pytest.mark.timeout(900)
    def test_under_terraform_it_lives_and_dies(self, rig: Rig) -> None:
        """Create, an empty plan, change, an empty plan, import with an empty plan, destroy, destroy again."""
        live(rig, self.samples, self.configuration)

    # Parts

    def _config(self, rig: Rig, type_name: str) -> Resource:
        made = self.samples[type_name].make(rig)
        assert made.type_name == type_name, f"the sample of {type_name} makes a {made.type_name}"
        return made

    @staticmethod
    def _import(rig: Rig, made: Resource) -> Resource | None:
        """What importing its identity gives; a type that cannot be imported has nothing to tell."""
        if not overrides(type(made), Resource, "import_"):
            return None
        return type(made).import_(rig.context(), made.identity)


def _kinds(rig: Rig, key: str) -> list[str]:
    """The types of what there is under one key, as often as there is one."""
    return sorted(item.type_name for item in rig.owned(key))


def _told(kind: type[Model], change: Iterable[str], untold: frozenset[str]) -> set[str]:
    """Terraform names of those changed fields of which the platform tells."""
    return {kind.__stead_fields__[key].name for key in change} - untold


def _differing(one: Model, other: Model) -> set[str]:
    """Names of fields that differ in more than looks; an empty value is as good as none."""
    return {
        field.name for field in one.schema() if not _alike(field, getattr(one, field.key), getattr(other, field.key))
    }


def _alike(field: Attribute | Block, mine: Any, theirs: Any) -> bool:
    if isinstance(field, Attribute):
        if field.write_only:
            return True
        if field.normalize is not None and isinstance(mine, str) and isinstance(theirs, str):
            return bool(field.normalize(mine, theirs)) or mine == theirs
    elif isinstance(mine, list) and field.nesting is Nesting.LIST and len(mine) == len(theirs):
        return not any(_differing(one, other) for one, other in zip(mine, theirs, strict=True))
    return bool(_bare(encode_field(field, mine)) == _bare(encode_field(field, theirs)) or mine == theirs)


def _bare(raw: Any) -> Any:
    """A wire value without what is empty."""
    if isinstance(raw, dict):
        return {key: bare for key, value in raw.items() if (bare := _bare(value)) is not None} or None
    if isinstance(raw, list):
        return [_bare(value) for value in raw] or None
    return raw or None


def _difference(one: Model, other: Model) -> str:
    keys = {field.name: field.key for field in one.schema()}
    lines = [
        f"{name}: {getattr(one, keys[name])!r} became {getattr(other, keys[name])!r}"
        for name in sorted(_differing(one, other))
    ]
    return f"{type(one).__name__}: " + "; ".join(lines)


def _sensitive(model: Model) -> Iterator[str]:
    """Texts of sensitive attributes that are long enough to be found."""
    for attribute in model.schema().attributes.values():
        value = getattr(model, attribute.key)
        if (attribute.sensitive or attribute.write_only) and isinstance(value, str) and len(value) > 3:
            yield value


__all__ = ["ProviderConformance", "Rig", "Sample"]

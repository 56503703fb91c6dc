"""From values to a spec: every name replaced by its method, sweeps written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from pydantic import ValidationError

from invspec.errors import SpecError, refuse, suggest
from invspec.kinds import Check, FeatureTraining, Sample
from invspec.registry import messages, methods
from invspec.registry.cards import PARTS, card, papers, shipped_names
from invspec.spec import sweeps
from invspec.spec.document import Document
from invspec.spec.entries import ENTRY, OWNERS, Entry
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.spec.schema import Written

# stands for all checks that ship with invspec
DEFAULT = "default"


def resolve(source: Document) -> Spec:
    """Validate the values of a document and look every name up in the registry.

    `plan.validation` checks whether labels and methods fit each other.

    Raises: SpecError with file and line, or several of them as SpecErrors.
    """
    try:
        return _resolve(source)
    except SpecError as problem:
        raise source.locate(problem) from None


def _resolve(source: Document) -> Spec:
    written = _validated(source.values)
    refuse(sweeps.size_problems(written))
    entries: dict[str, dict[str, Resolved]] = {part: {} for part in PARTS}
    checks: dict[str, Check] = {}
    refuse([*_fill(entries, written), *_fill_checks(checks, written.checks)])
    return Spec(
        written.title,
        written.paper,
        written.seeds,
        written.precision,
        entries,
        written.train,
        written.claims,
        written.report,
        source,
        checks=checks,
        seeds_paired=written.seeds_paired,
        names=written.names,
    )


def _validated(values: Any) -> Written:
    if not isinstance(values, dict):
        hint = f"keys: {', '.join(messages.keys_of(Written))}"
        message = f"expected the keys of a spec, found {messages.shown(values)}"
        raise SpecError(message, hint=hint)
    keys = cast(dict[str, Any], values)
    try:
        return Written.model_validate(keys)
    except ValidationError as problem:
        wrong = messages.explain(problem, Written, keys)
    refuse([*wrong, *_problems_of_valid_entries(keys)])
    raise AssertionError("a ValidationError without errors")


def _problems_of_valid_entries(keys: Mapping[str, Any]) -> Iterator[SpecError]:
    """The problems of entries in a spec that has other mistakes, so that all are seen at once."""
    count = 0
    for part, label, entry in _valid_entries(keys):
        try:
            count += sweeps.count_of(entry)
            if count <= sweeps.MAX_VARIANTS:
                _resolved(part, label, entry)
        except SpecError as problem:
            yield problem.within(part, label)


def _valid_entries(keys: Mapping[str, Any]) -> Iterator[tuple[str, str, Entry]]:
    for part in PARTS:
        written = keys.get(part)
        for label, value in written.items() if isinstance(written, dict) else ():
            # what is wrong with the others has been said
            with suppress(ValidationError):
                yield part, label, ENTRY.validate_python(value)


def _fill(entries: dict[str, dict[str, Resolved]], written: Written) -> Iterator[SpecError]:
    """Fill in the valid entries of a spec; yield the problems of the others."""
    if written.paper is not None and written.paper not in papers():
        hint = suggest(written.paper, papers())
        yield SpecError(f"no paper has the key {written.paper!r}", hint=hint, path=("paper",))
    for part in PARTS:
        if not getattr(written, part):
            yield SpecError("expected at least one entry, found none", path=(part,))
        for label, entry in getattr(written, part).items():
            try:
                entries[part][label] = _resolved(part, label, entry)
            except SpecError as problem:
                yield problem.within(part, label)


def _resolved(part: str, label: str, entry: Entry) -> Resolved:
    refuse(_misplaced_keys(part, entry))
    try:
        card(PARTS[part], entry.use or label)
    except SpecError as problem:
        raise problem.within(*(("use",) if entry.use else ())) from None
    variants = tuple(sweeps.variants(part, label, entry))
    if entry.feature_net is not None:
        refuse(_without_features(label, variants))
    return Resolved(
        variants,
        entry.sample or Sample(),
        entry.of or (),
        bool(entry.independent),
        entry.oracle,
        entry.threads or 1,
        entry.source,
        bool(entry.union),
        bool(entry.correct_in_all),
        entry.generator,
        entry.feature_net,
        entry.seeds,
    )


def _without_features(label: str, variants: Iterable[Variant]) -> Iterator[SpecError]:
    """A feature net of a training that takes none; of a sweep, the first such value."""
    for variant in variants:
        method = variant.method
        if isinstance(method, FeatureTraining) and method.takes_features:
            continue
        swept = ", ".join(f"{name} {value}" for name, value in variant.coords.items())
        message = f"defence {label} takes no feature net{f' with {swept}' if swept else ''}"
        hint = "remove it, or use a defence such as lpips_ccat with `distance: laidlaw_self`"
        yield SpecError(message, hint=hint, path=("feature_net",))
        return


def _fill_checks(
    checks: dict[str, Check], entries: Mapping[str, Entry] | None
) -> Iterator[SpecError]:
    """Fill in the checks of a spec: all that ship with invspec, unless it says otherwise."""
    for label, entry in ({DEFAULT: Entry()} if entries is None else entries).items():
        try:
            if label == DEFAULT and entry == Entry():
                own = set(entries or ())
                checks |= {name: _check(name) for name in shipped_names("check") if name not in own}
            else:
                refuse(_misplaced_keys("checks", entry))
                checks[label] = _check(entry.use or label, entry.fields)
        except SpecError as problem:
            yield problem.within("checks", label)


def _check(name: str, fields: Mapping[str, Any] | None = None) -> Check:
    return cast(Check, methods.make("check", name, dict(fields or {})))


def _misplaced_keys(part: str, entry: Entry) -> Iterator[SpecError]:
    for key, owner in OWNERS.items():
        value = entry.source if key == "from" else getattr(entry, key)
        if value is not None and part != owner:
            message = f"`{key}` is a key of {owner}, found it in {part}"
            yield SpecError(message, hint="remove it", path=(key,))

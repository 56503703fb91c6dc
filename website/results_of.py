"""What the results of a method mean: the last part of the page of a card."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import cast

from minimal_specs import entry_of, made

from invspec.errors import InvspecError, counted
from invspec.kinds import Attack, Check, Dataset, Defence, Measure, Method, Model
from invspec.registry import cards, methods
from invspec.registry.cards import Kind

BOUNDS = {
    "upper": "A stronger attack can only lower it: the number is an upper bound.",
    "lower": "A stronger attack can only raise it: the number is a lower bound.",
    "exact": "It does not depend on how strong the attack is.",
    None: "A stronger attack may move it either way.",
}
FIGURES = {
    "matrix": "a matrix of target classes by source classes",
    "heatmap": "a heatmap",
    "images": "a grid of images",
    "regions": "planes with the predicted class of each point",
}


def results(kind: Kind, name: str, rows: list[str]) -> str:
    """The text on what a method leaves behind; rows are the paragraphs of its class about them."""
    method = made(kind, name, entry_of(kind, name))
    sentences = " ".join(OF_KIND[kind](methods.resolve(kind, name), method))
    return "\n\n".join([*rows, sentences])


def _measure(cls: type[Method], made: Method | None) -> Iterator[str]:
    measure = cast("type[Measure]", cls)
    yield from _attacks_read(measure)
    if made is not None:
        low, high = cast(Measure, made).range_of()
        ends = [f"at least {low:g}"] if low > -math.inf else []
        ends += [f"at most {high:g}"] if high < math.inf else []
        if ends:
            yield f"The number is {' and '.join(ends)}."
        yield BOUNDS[cast(Measure, made).bound]
    if measure.wants_target:
        yield "The attack must run on pairs: `sample: {targets: ...}`."
    if measure.wants_oracle:
        yield "`oracle: {model: ..., defence: ...}` must name a second classifier as ground truth."
    if measure.figures:
        drawn = " or ".join(FIGURES[figure] for figure in measure.figures)
        yield f"Its scores can be [drawn](../../gallery.md) as {drawn}."
    yield (
        "Every row has a 95 % interval; [a table](../../reading-the-store.md) has it as "
        "`value`, `low`, `high` and `n`."
    )


def _attacks_read(measure: type[Measure]) -> Iterator[str]:
    least, most = measure.takes
    if most > 1:
        yield f"It reads {least if least == most else f'{least} to {most}'} attacks."
    elif measure.takes_sweep:
        yield "It reads one attack with all values of its sweep at once."
    elif measure.has_worst_case():
        yield "It reads one attack; of several, each example counts with the worst result."
    else:
        yield "It reads one attack."


def _attack(cls: type[Method], made: Method | None) -> Iterator[str]:
    yield (
        "For each image the store keeps the attacked image and the [columns of every "
        "attack](../../reading-the-store.md#the-columns-of-an-attack): labels and confidences "
        "before and after, the distance in linf and l2, and the passes through the net."
    )
    attack = cast("Attack | None", made)
    if attack is None:
        return
    if attack.wants_target:
        yield "It runs on pairs: columns name the source, the target and the target's label."
    if attack.path_promise is not None:
        yield "`ran_out` marks the walks that were on their way when their steps ran out."
    if attack.path_vertices:
        yield f"It keeps the path of each walk, of at most {attack.path_vertices:,} images."
    if attack.sweep_field:
        yield (
            f"A sweep over `{attack.sweep_field}` runs upwards and starts from what a smaller "
            "value has found."
        )
    if attack.leaves_bounds:
        yield "Its pixels may leave the range of the data set."
    if attack.ignores_model:
        yield "It runs no model, so that it can stand `before` another attack."
    yield _checks_of(attack)


def _checks_of(attack: Attack) -> str:
    named = [
        f"[{name}](../check/{name}.md)"
        for name in cards.shipped_names("check")
        for check in [cast(Check, methods.make("check", name, {}))]
        if check.about_attack and check.applies(attack)
    ]
    return f"Checks that examine it: {', '.join(named)}." if named else "No check examines it."


def _defence(cls: type[Method], made: Method | None) -> Iterator[str]:
    origin = cast("type[Defence]", cls).weights_from
    if origin == "trained":
        yield (
            "The store keeps the weights and one number per epoch of each curve, such as the loss. "
            "Each seed is a training of its own."
        )
    elif origin == "initial":
        yield "The net keeps its initial weights, which each seed draws anew."
    else:
        yield "The weights are published ones, the same for every seed."
        yield "Verdicts speak of these nets alone."
    yield "Numbers have its label under `defence`, and its swept fields as `LABEL.FIELD`."


def _model(cls: type[Method], made: Method | None) -> Iterator[str]:
    model = cast("type[Model]", cls)
    if model.makes == "images":
        yield "It makes images of a source and a target, and has no numbers of its own."
    elif model.weights_from == "none":
        yield "It has no weights, so that verdicts speak of every training there could be."
    elif model.weights_from == "published":
        yield "Its weights are published ones, the same for every seed."
    if made is not None and cast(Model, made).random_passes:
        passes = cast(Model, made).random_passes
        yield f"It draws random numbers: predictions are means over {passes} passes."
    yield "Numbers have its label under `model`, and its swept fields as `LABEL.FIELD`."


def _dataset(cls: type[Method], made: Method | None) -> Iterator[str]:
    if made is not None:
        yield _facts(cast(Dataset, made))
    yield "Numbers have its label under `dataset`, and its swept fields as `LABEL.FIELD`."


def _facts(dataset: Dataset) -> str:
    channels, height, width = dataset.shape
    low, high = dataset.bounds
    pixels = "points without bounds" if math.isinf(low) else f"pixels from {low:g} to {high:g}"
    size = f"{counted(channels, 'channel')} of {height} by {width}"
    facts = f"{size}, {pixels}, {dataset.classes:,} classes"
    try:
        counts = ", ".join(
            f"{dataset.count(split):,} {split}" for split in ("train", "val", "test")
        )
    except InvspecError:
        # what only its files say
        return f"{facts}."
    return f"{facts}; {counts} examples."


def _check(cls: type[Method], made: Method | None) -> Iterator[str]:
    check = cast("type[Check]", cls)
    yield f"A finding is about {'an attack on a net' if check.about_attack else 'a net'}."
    yield (
        "It holds the measured value, its 95 % interval, the number of images and the threshold; "
        "the check fails only if the whole interval is beyond the threshold."
    )
    if not check.gates:
        yield "A failure warns, and changes no number."
    elif check.doubts == "attacks":
        yield "A failure puts numbers under attacks in doubt: they are bounds on one side only."
    else:
        yield "A failure puts every number of the net in doubt."
    yield "More on [what a failure means](../../checks.md#what-a-failure-means)."


OF_KIND: dict[Kind, Callable[[type[Method], Method | None], Iterator[str]]] = {
    "dataset": _dataset,
    "model": _model,
    "defence": _defence,
    "attack": _attack,
    "measure": _measure,
    "check": _check,
}

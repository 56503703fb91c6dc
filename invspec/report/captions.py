"""The words around tables and figures: summaries, captions, remarks, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from invspec.analysis.claims import OUTCOMES, Outcome, Verdict, false_verdicts
from invspec.analysis.estimator import Summary
from invspec.analysis.significance import Need
from invspec.errors import counted
from invspec.kinds import Attack, Measure
from invspec.plan.products import is_worst_case
from invspec.registry import cards
from invspec.report.drawings import Drawing
from invspec.report.format import DAGGER, MISSING, NO_CELL, expectation, statistic_and_interval
from invspec.report.health import why
from invspec.report.table import Table
from invspec.spec.resolved import Resolved, Spec
from invspec.spec.schema import FigureKind, Layout

INTERVALS = "95 % intervals"
NOT_COMPUTED = f"{MISSING} is a number that is not computed yet"
ALIKE = "only examples count that all nets under this measure classify correctly"
# how summaries end of measures that are also taken without an attack
AFTER = " after the attack"
# with more degrees of freedom than this, t is normal to two digits
MANY_DEGREES = 100
REMARKS: dict[FigureKind, str] = {
    "band": "bands reach from the lowest to the highest {edges}",
    "matrix": "above each matrix: the mean of its cells{means}; cells without a value are grey",
    "images": "below each image: {confidence}{bars}{seed}",
    "regions": "each area has the colour of the predicted class; each circle has the colour of its "
    "true class and is thick where it is misclassified{seed}",
    "heatmap": "absolute values of the matrix entries{seed}",
}
OF_PAIR = "the confidence in the label of its source image (framed images: in their own label)"
OF_ORACLE = (
    "the oracle's confidence in the class of its source image (framed images: in their own class)"
)
OF_IMAGE = "the confidence in the true class"


def summary(spec: Spec, measure: str) -> str:
    """The summary on the card of a measure, if it has one, and which examples count."""
    document = spec.source.values
    entry = document.get("measures", {}).get(measure) if isinstance(document, dict) else None
    name = entry.get("use", measure) if isinstance(entry, dict) else measure
    text = cards.card("measure", name).summary if name in cards.names("measure") else ""
    if not _is_attacked(spec, measure):
        text = text.removesuffix(AFTER)
    among = ALIKE if spec.entries["measures"][measure].correct_in_all else ""
    return "; ".join(filter(None, (text, among)))


def enumerated(words: Sequence[str]) -> str:
    """Words as a list: a, b and c."""
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


def title(spec: Spec, measure: str, names: Mapping[str, str]) -> str:
    """A measure and its attacks: accuracy under the worst of pgd, moved (made on lenet, standard).

    Without an attack, the measure alone. names are what labels are called where it is not their own
    text.
    """
    entry, called = spec.entries["measures"][measure], names.get(measure, measure)
    if not _is_attacked(spec, measure):
        return called
    labels = [_attack(spec, label, names) for label in entry.of]
    worst = is_worst_case(entry)
    listed = f"the worst of {', '.join(labels)}" if worst else enumerated(labels)
    return f"{called} under {listed}"


def _is_attacked(spec: Spec, measure: str) -> bool:
    """Whether some attack of a measure changes images."""
    return any(
        variant.before is not None or not cast(Attack, variant.method).keeps_images
        for label in spec.entries["measures"][measure].of
        for variant in spec.entries["attacks"][label].variants
    )


def _attack(spec: Spec, label: str, names: Mapping[str, str]) -> str:
    called, source = names.get(label, label), spec.entries["attacks"][label].source
    if source is None:
        return called
    net = ", ".join(names.get(part, part) for part in (source.model, source.defence))
    return f"{called} (made on {net})"


def remark(
    spec: Spec,
    layout: Layout,
    edges: str,
    drawings: Iterable[Drawing],
    *,
    several_seeds: bool,
) -> str:
    """How to read the figure of a layout; edges are what the two edges of a band differ in."""
    has_bars = any(drawing.bars is not None for drawing in drawings)
    return REMARKS.get(layout.drawn, INTERVALS).format(
        confidence=_confidence(spec.entries["measures"][layout.measure]),
        bars="; above each image: its logits" if has_bars else "",
        edges=edges,
        means=" (means over seeds)" if several_seeds else "",
        seed="; one seed is shown" if several_seeds else "",
    )


def _confidence(measure: Resolved) -> str:
    """What the numbers below the images of a measure are."""
    if measure.oracle is not None:
        return OF_ORACLE
    return OF_PAIR if cast(Measure, measure.variants[0].method).wants_target else OF_IMAGE


def caption(table: Table) -> str:
    """The caption of a table: fixed coordinates, metric, sample sizes, and what its marks mean."""
    numbers = table.all_numbers
    metrics = dict.fromkeys(block.metric for block in table.blocks if block.metric)
    size = sample_sizes(numbers)
    margin = "± is the longer arm of the 95 % confidence interval"
    chance = [] if not numbers else [_chance(numbers)]
    problem = [f"left out: {table.problem}"] if table.problem else []
    parts = [*_fixed(table), *metrics, size, margin, *chance, *_marks(table), *problem]
    return "; ".join(parts)


def _fixed(table: Table) -> list[str]:
    """The coordinates that a table fixes; with their measure where they differ between several."""
    fixed = {
        (block.named(name), block.shown(value)): None
        for block in table.blocks
        for name, value in block.fixed.items()
    }
    return [f"{name} {value}" for name, value in fixed]


def _marks(table: Table) -> list[str]:
    """What the marks of a table's numbers mean."""
    numbers, blocks = table.all_numbers, table.blocks
    is_partial = any(number.is_partial for number in numbers)
    has_blanks = any(line.blank for block in blocks for line in block.lines)
    reasons = dict.fromkeys(reason for number in numbers for reason in number.doubts)
    percent = [block.called for block in blocks if block.in_percent]
    of_these = f" of {enumerated(percent)}" if 0 < len(percent) < len(blocks) else ""
    best = next((block.best for block in blocks if block.best), None)
    marks = {
        f"numbers{of_these} in per cent": bool(percent),
        f"bold: the {best} of a column and all within its interval": best is not None,
        "* some seeds are missing": is_partial,
        f"{DAGGER} in doubt: {why(tuple(reasons))}": bool(reasons),
        f"{NO_CELL} has no number by the spec": has_blanks,
        NOT_COMPUTED: table.has_missing,
    }
    return [sentence for sentence, applies in marks.items() if applies]


def _chance(numbers: Sequence[Summary]) -> str:
    """Whether the intervals hold the chance of training."""
    known = [number.df is not None for number in numbers]
    if all(known):
        return "examples and trainings vary"
    return "only examples vary" if not any(known) else "trainings vary where a cell has several"


def sample_sizes(numbers: Iterable[Summary]) -> str:
    """The numbers of examples, if known, and of seeds: n = 1,000, 3 seeds."""
    present = list(numbers)
    if not present:
        return "nothing computed yet"
    seeds = _span([number.seeds for number in present])
    counts = [number.n for number in present]
    examples = [f"n = {_span(counts)}"] if any(counts) else []
    return ", ".join([*examples, f"{seeds} seed{'' if seeds == '1' else 's'}"])


def _span(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def tally(verdicts: Sequence[Verdict]) -> list[tuple[Outcome, int, str]]:
    """The outcomes that occur, with their counts and words: (holds, 2, hold).

    Verdicts on the nets at hand are counted apart: (holds, 1, holds for these nets).
    """
    plural = {"holds": "hold", "fails": "fail"}
    counts = Counter((verdict.outcome, _scope(verdict)) for verdict in verdicts)
    scopes = ("", *sorted({scope for _, scope in counts} - {""}))
    return [
        (outcome, count, (plural.get(outcome, outcome) if count > 1 else outcome) + scope)
        for outcome in OUTCOMES
        for scope in scopes
        if (count := counts[outcome, scope])
    ]


def reason(verdict: Verdict) -> str:
    """What a verdict rests on besides its statistic: a premise, an alternative, or a mistake."""
    if verdict.problem:
        return f"not evaluated: {verdict.problem}"
    failed = [p for p in verdict.premises if p.outcome in ("fails", "undecided")]
    if verdict.outcome == "not testable" and failed:
        premise = min(failed, key=lambda p: p.outcome != "fails")
        value, around = statistic_and_interval(premise)
        said = premise.claim.says or premise_words(premise)
        verb = "fails" if premise.outcome == "fails" else "is undecided"
        return f"the premise {verb}: {said} ({value}, {around})"
    outcomes = [alternative.outcome for alternative in verdict.alternatives]
    if verdict.outcome == "holds" and outcomes:
        return f"it is: {_alternative(verdict.alternatives[outcomes.index('holds')])}"
    listed = "; ".join(
        f"{_alternative(alternative)}: {alternative.outcome}"
        for alternative in verdict.alternatives
    )
    if (count := outcomes.count("holds")) > 1:
        return f"{count} alternatives hold, so they do not exclude each other ({listed})"
    return listed


def premise_words(premise: Verdict) -> str:
    """A premise that has no sentence of its own: accuracy above 0.9."""
    return f"{' and '.join(premise.claim.measures)} {expectation(premise)}"


def _alternative(verdict: Verdict) -> str:
    source = f" ({verdict.claim.source})" if verdict.claim.source else ""
    return f"{verdict.claim.says}{source}"


def doubt(verdict: Verdict) -> str:
    """Why the numbers of a claim are in doubt; empty if they are not."""
    if not verdict.doubts:
        return ""
    word = "undecided" if verdict.outcome == "undecided" else "in doubt"
    return f"{word}: {why(verdict.doubts)}"


def _scope(verdict: Verdict) -> str:
    """The nets that a decided verdict is limited to; empty if it speaks of all trainings."""
    if not verdict.is_decided or verdict.scope == "trainings":
        return ""
    return " for this net" if verdict.nets == 1 else " for these nets"


def outcome(verdict: Verdict) -> str:
    """The outcome with its scope: holds for these nets."""
    return verdict.outcome + _scope(verdict)


def size(spec: Spec) -> str:
    """How a report was run, if not as the spec says: at scale laptop, with --set."""
    if spec.is_smoke:
        return "in a smoke run"
    scale = [] if spec.scale is None else [f"at scale {spec.scale}"]
    return ", ".join([*scale, *(["with --set"] if spec.settings else [])])


def correction(verdicts: Sequence[Verdict]) -> str:
    """What the correction for many claims means; empty for less than two."""
    tested = sum(verdict.p is not None for verdict in verdicts)
    if tested < 2:
        return ""
    return (
        f"verdicts are corrected for {tested} claims (Holm): the chance of any false one is at "
        "most 5 %"
    )


def correction_and_why(verdicts: Sequence[Verdict]) -> str:
    """What the correction means, and what to expect without it; empty for less than two claims."""
    corrected = correction(verdicts)
    if not corrected:
        return ""
    expected = f"up to {false_verdicts(verdicts):.2g} false verdicts are to be expected"
    return f"{corrected}; without the correction, {expected}"


def notes(verdict: Verdict) -> list[str]:
    """What else there is to know of a verdict: its p-value, its raw outcome, what would decide."""
    remarks: list[str] = []
    if verdict.only_trend:
        remarks.append("one seed does not decide a trend across nets")
    if verdict.p is not None and verdict.corrected_p is not None:
        values = f"p {p_value(verdict.p)}, corrected {p_value(verdict.corrected_p)}"
        seeds = counted(verdict.seeds, "seed")
        degrees = f", {verdict.df:.0f} degrees of freedom" if verdict.df < MANY_DEGREES else ""
        remarks.append(f"{values}; {seeds}{degrees}")
    if verdict.raw != verdict.outcome:
        remarks.append(f"uncorrected: {verdict.raw}")
    if verdict.needs is not None:
        remarks.append(needs(verdict.needs))
    return remarks


def needs(need: Need) -> str:
    """What would decide a claim: needs about 5 seeds."""
    amounts = [
        f"{count:,} {name}"
        for count, name in ((need.seeds, "seeds"), (need.images, "images"))
        if count is not None
    ]
    return f"needs about {' and '.join(amounts)}"


def p_value(p: float) -> str:
    """A p-value: 0.03, or < 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def missing_cells(missing: int, total: int) -> str:
    """A sentence on the cells that are not computed yet."""
    return f"{missing:,} of {total:,} cells are missing"


def missing_scores(verdict: Verdict) -> str:
    """How many scores a claim is waiting for; empty if it is not evaluated for another reason."""
    return f"{counted(verdict.missing_scores, 'score')} missing" if verdict.missing_scores else ""

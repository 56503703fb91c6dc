"""The words around tables and figures: summaries, captions, remarks, counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from invspec.analysis.claims import OUTCOMES, Outcome, Verdict
from invspec.analysis.estimator import Summary
from invspec.plan.coordinates import shown
from invspec.plan.products import is_worst_case
from invspec.registry import cards
from invspec.report.drawings import Drawing
from invspec.report.format import DAGGER, expectation, statistic_and_interval
from invspec.report.health import why
from invspec.report.table import Table
from invspec.spec.resolved import Spec
from invspec.spec.schema import FigureKind, Layout

INTERVALS = "95 % intervals"
ALIKE = "only examples count that all nets under this measure classify correctly"
REMARKS: dict[FigureKind, str] = {
    "band": "bands reach from the lowest to the highest {edges}",
    "matrix": "above each matrix: the mean of its cells{means}; cells without a value are grey",
    "images": "below each image: {confidence}{bars}{seed}",
    "regions": "each area has the colour of the predicted class; each circle has the colour of its "
    "true class and is thick where it is misclassified{seed}",
    "heatmap": "absolute values of the matrix entries{seed}",
}
CONFIDENCE = {
    False: "the confidence in the label of its source image (framed images: in their own label)",
    True: "the oracle's confidence in the class of its source image "
    "(framed images: in their own class)",
}


def summary(spec: Spec, measure: str) -> str:
    """The summary on the card of a measure, if it has one, and which examples count."""
    document = spec.source.values
    entry = document.get("measures", {}).get(measure) if isinstance(document, dict) else None
    name = entry.get("use", measure) if isinstance(entry, dict) else measure
    text = cards.card("measure", name).summary if name in cards.names("measure") else ""
    among = ALIKE if spec.entries["measures"][measure].correct_in_all else ""
    return "; ".join(filter(None, (text, among)))


def attacks(spec: Spec, measure: str) -> str:
    """The attacks of a measure in words: the worst of pgd, moved (made on lenet, standard)."""
    entry = spec.entries["measures"][measure]
    labels = [_attack(spec, label) for label in entry.of]
    return f"the worst of {', '.join(labels)}" if is_worst_case(entry) else " and ".join(labels)


def _attack(spec: Spec, label: str) -> str:
    source = spec.entries["attacks"][label].source
    return label if source is None else f"{label} (made on {source.model}, {source.defence})"


def remark(spec: Spec, layout: Layout, rows: tuple[str, ...], drawings: Iterable[Drawing]) -> str:
    """How to read the figure of a layout."""
    several_seeds = len(spec.seeds) > 1
    has_bars = any(drawing.bars is not None for drawing in drawings)
    has_oracle = spec.entries["measures"][layout.of].oracle is not None
    return REMARKS.get(layout.figure, INTERVALS).format(
        confidence=CONFIDENCE[has_oracle],
        bars="; above each image: its logits" if has_bars else "",
        edges=rows[-1] if rows else "",
        means=" (means over seeds)" if several_seeds else "",
        seed="; one seed is shown" if several_seeds else "",
    )


def caption(table: Table) -> str:
    """The caption of a table: fixed coordinates, metric, sample sizes, and what its marks mean."""
    fixed = [f"{name} {shown(value)}" for name, value in table.fixed.items()]
    metric = [table.metric] if table.metric else []
    is_partial = any(number.is_partial for number in table.numbers)
    star = ["* some seeds are missing"] if is_partial else []
    reasons = dict.fromkeys(reason for number in table.numbers for reason in number.doubts)
    doubts = [f"{DAGGER} in doubt: {why(tuple(reasons))}"] if reasons else []
    margin = "± is the longer arm of the 95 % confidence interval"
    return "; ".join([*fixed, *metric, sample_sizes(table.numbers), margin, *star, *doubts])


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
    """The outcomes that occur, with their counts and verbs: (holds, 2, hold)."""
    plural = {"holds": "hold", "fails": "fail"}
    counts: dict[Outcome, int] = {
        outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in OUTCOMES
    }
    return [
        (outcome, count, plural.get(outcome, outcome) if count > 1 else outcome)
        for outcome, count in counts.items()
        if count
    ]


def reason(verdict: Verdict) -> str:
    """What a verdict rests on besides its statistic: a premise, or one of its alternatives."""
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
    return "; ".join(
        f"{_alternative(alternative)}: {alternative.outcome}"
        for alternative in verdict.alternatives
    )


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


def missing_cells(missing: int, total: int) -> str:
    """A sentence on the cells that are not computed yet."""
    return f"{missing:,} of {total:,} cells are missing (shown as ·)"


def missing_scores(verdict: Verdict) -> str:
    """How many scores a claim is waiting for."""
    return f"{verdict.missing_scores} score{'s' if verdict.missing_scores > 1 else ''} missing"

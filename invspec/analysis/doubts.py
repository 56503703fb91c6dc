"""Which numbers a failed check is about, and by how much each of them may be off."""

from __future__ import annotations

from dataclasses import dataclass

from invspec.analysis.readings import Reading
from invspec.data import Finding
from invspec.kinds import Attack
from invspec.ops.types import SHARES
from invspec.plan.cells import Cell, Examination
from invspec.plan.examinations import searches
from invspec.tasks import Score, Train

# by how much numbers may be off: the largest shift down and the largest shift up
Shifts = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Record:
    """An examination with its finding and seconds; None if it was not run."""

    examination: Examination
    finding: Finding | None = None
    seconds: float | None = None

    @property
    def gates(self) -> bool:
        """Whether a failure puts numbers in doubt."""
        return self.examination.goal.check.gates

    @property
    def status(self) -> str:
        """passes, fails, warns, skipped, or not checked."""
        if self.finding is None:
            return "not checked"
        return "warns" if self.finding.status == "fails" and not self.gates else self.finding.status

    @property
    def reason(self) -> str:
        """What is wrong, and the check that says so."""
        return f"{self.finding.reason} ({self.examination.check})" if self.finding else ""


def concerns(record: Record, cell: Cell) -> bool:
    """Whether a failed examination of a cell's net puts the cell's number in doubt."""
    if doubts_everything(record):
        return True
    if cell.goal.measure.bound == "exact":
        return False
    return any(_is_of(record, place, cell) for place in range(len(cell.attacks)))


def _is_of(record: Record, place: int, cell: Cell) -> bool:
    """Whether a failed examination of a cell's net doubts one of the cell's attacks."""
    part, label = cell.goal.of[place][0], record.examination.attack
    if not searches(part.attack):
        return False
    if label is None:
        return part.attack.gradient_loss is not None and part.source is None
    return label == cell.attacks[place].label and not _is_answered(record, place, cell.goal)


def _is_answered(record: Record, place: int, goal: Score) -> bool:
    """Whether another attack of a worst case does what the failed check tried."""
    start = place - place % goal.worst_of
    beside = (parts[0] for parts in goal.of[start : start + goal.worst_of])
    check, attack = record.examination.goal.check, goal.of[place][0].attack
    return any(
        part.attack != attack and part.source is None and check.is_answered_by(part.attack, attack)
        for part in beside
    )


def sources(cell: Cell) -> list[Train]:
    """The nets on which transfer attacks of a cell made their images."""
    sources = (parts[0].source for parts in cell.goal.of)
    return list(dict.fromkeys(source.train for source in sources if source is not None))


def concerns_images(record: Record, cell: Cell) -> bool:
    """Whether a failed examination of a source doubts the images that were made on it."""
    examination = record.examination
    if cell.goal.measure.bound == "exact":
        return False
    return any(
        parts[0].source is not None
        and parts[0].source.train == examination.goal.train
        and searches(parts[0].attack)
        and examination.attack in (None, attacked.label)
        and (examination.attack is not None or parts[0].attack.gradient_loss is not None)
        for attacked, parts in zip(cell.attacks, cell.goal.of, strict=True)
    )


def doubts_everything(record: Record) -> bool:
    """Whether a failure puts every number of the net in doubt."""
    examination = record.examination
    return examination.attack is None and examination.goal.check.doubts == "everything"


def shifts_of(reading: Reading, record: Record) -> Shifts:
    """By how much a number may fall and rise because of a failure."""
    assert record.finding is not None, "a failure has a finding"
    value, (least, most) = reading.value, reading.range
    # infinite numbers have no further to go
    opened = 0.0 if value == least else least - value, 0.0 if value == most else most - value
    goal, examination = reading.cell.goal, record.examination
    bound, is_here = goal.measure.bound, examination.goal.train in (goal.train, goal.oracle)
    # a source that computes nonsense only makes what was found there weak
    opens_both = examination.goal.check.doubts == "everything" and (is_here or examination.attack)
    if opens_both or bound not in ("upper", "lower"):
        return opened
    survivors = record.finding.survivors if is_here and _is_examined(examination, reading) else None
    if survivors is not None and (least, most) == SHARES:
        opened = -value * (1 - survivors), (1 - value) * (1 - survivors)
    return (opened[0], 0.0) if bound == "upper" else (0.0, opened[1])


def _is_examined(examination: Examination, reading: Reading) -> bool:
    """Whether what a check tried says how far a number may move: not at larger radii than its own.

    Of a sweep, the check examined one value.
    """
    if examination.attack is None:
        return True
    cell, first = reading.cell, examination.goal.of[0]
    of = zip(cell.attacks, cell.goal.of, strict=True)
    return all(
        parts[0].before == first.before and _is_no_larger(parts[0].attack, first.attack)
        for attacked, parts in of
        if attacked.label == examination.attack
    )


def _is_no_larger(attack: Attack, examined: Attack) -> bool:
    name = examined.sweep_field
    if attack == examined or name is None:
        return attack == examined
    most = getattr(examined, name)
    return getattr(attack, name) <= most and attack.model_copy(update={name: most}) == examined

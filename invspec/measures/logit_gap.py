"""How far the logits of metamers are from those of their sources."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Judged, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.ops.modules import device_of
from invspec.ops.precise import in_double
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.preimages import on_device
from invspec.scoring.rows import exact, mean_of_pairs, share_of_pairs

GAPS = ("exact", "float32", "clipped")
RANGES: dict[str, Range] = {
    **dict.fromkeys((*GAPS, *(f"largest_{name}" for name in GAPS)), MAGNITUDES),
    **dict.fromkeys(("argmax_changed_by_clipping", "outside"), SHARES),
}


class LogitGap(Measure):
    """The largest difference between logits of x_adv and x, before and after clipping.

    A row for each quantity:

        exact                        of the images before rounding, in float64; mean over examples
        largest_exact                the same; maximum over examples
        float32, largest_float32     of x_adv as stored and x, through the net as deployed
        clipped, largest_clipped     of the exact images clipped to the pixel range, in float64
        argmax_changed_by_clipping   share of examples whose predicted label clipping changes
        outside                      share of pixels out of range by more than `tolerance`

    Means have a bootstrap interval over sources (over examples, if they are not pairs). A maximum
    describes these examples only; its interval has no width. n counts sources.

    Raises: InvspecError where the attack stored no unrounded images.
    """

    tolerance: Number = Field(
        default=1e-6, ge=0, description="how far rounding may move a pixel out of range"
    )

    def range_of(self, quantity: str = "") -> Range:
        return RANGES.get(quantity, MAGNITUDES)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        if not attacked.has("exact"):
            raise InvspecError("this attack stores no unrounded images", hint="use metamer")
        judged = attacked.judged
        rows: list[Row] = []
        for name, values in self._quantities(model, attacked).items():
            if name in GAPS:
                rows += gap_rows(name, values, judged)
            else:
                rows.append(share_of_pairs(values, judged, quantity=name))
        return Scored(rows)

    @torch.no_grad()
    def _quantities(self, model: nn.Module, attacked: Examples) -> dict[str, Tensor]:
        """Each quantity of every example, by name: (N,) float64."""
        net, device = in_double(model), device_of(model)
        parts: list[dict[str, Tensor]] = []
        for batch, tensors in on_device(attacked, device).batches(BATCH_SIZE, "x_adv", "exact"):
            x_adv, images = (tensors[name].to(device) for name in ("x_adv", "exact"))
            clipped = images.clamp(*batch.bounds)
            logits, logits_exact, logits_clipped = (
                net(x) for x in (batch.x.double(), images, clipped)
            )
            outside = (images - clipped).abs() > self.tolerance
            quantities = {
                "exact": _gap(logits_exact, logits),
                "float32": _gap(model(x_adv), model(batch.x)),
                "clipped": _gap(logits_clipped, logits),
                "argmax_changed_by_clipping": logits_clipped.argmax(1) != logits_exact.argmax(1),
                "outside": outside.flatten(1).double().mean(1),
            }
            parts.append({name: values.double().cpu() for name, values in quantities.items()})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def gap_rows(name: str, gaps: Tensor, judged: Judged) -> tuple[Row, Row]:
    """The mean of gaps (N,) over examples, and their maximum."""
    mean = mean_of_pairs(gaps, judged, MAGNITUDES, quantity=name)
    largest = exact(gaps.max().item(), len(judged.unit.unique()), quantity=f"largest_{name}")
    return mean, largest


def _gap(logits: Tensor, others: Tensor) -> Tensor:
    """The largest difference over classes between two logits (B, K): (B,)."""
    return (logits - others).abs().amax(1)

"""How far the logits of metamers are from those they were constructed to have."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.ops.modules import device_of
from invspec.ops.precise import in_double
from invspec.ops.types import MAGNITUDES
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.preimages import on_device
from invspec.scoring.rows import exact, mean_of_pairs, share_of_pairs

GAPS = ("exact", "float32", "clipped")


class LogitGap(Measure):
    """The largest difference of a logit between x_adv and x, before and after clipping.

    A row for each quantity:

        exact                        of the images before rounding, in float64; mean over examples
        largest_exact                the same; the largest of all examples
        float32, largest_float32     of x_adv as it is stored, and x, through the net as deployed
        clipped, largest_clipped     of the exact images clipped to the pixel range, in float64
        argmax_changed_by_clipping   share of examples whose predicted label clipping changes
        outside                      share of pixels outside their range, by more than tolerance

    Means have a bootstrap interval over sources (over examples, if they are not pairs). The largest
    describes the examples at hand, so its interval is the value itself. n counts sources.

    Raises: InvspecError where the attack kept no exact images.
    """

    tolerance: Number = Field(
        default=1e-6, ge=0, description="how far rounding may put a pixel outside its range"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        if not attacked.has("exact"):
            raise InvspecError(
                "the attack kept no exact images", hint="use an attack that does: metamer"
            )
        unit = attacked.judged.unit
        rows: list[Row] = []
        for name, values in self._quantities(model, attacked).items():
            if name in GAPS:
                rows += gap_rows(name, values, unit)
            else:
                rows.append(share_of_pairs(values, unit, quantity=name))
        return Scored(rows)

    @torch.no_grad()
    def _quantities(self, model: nn.Module, attacked: Examples) -> dict[str, Tensor]:
        """Each quantity of every example, by name: (N,) float64."""
        net, device = in_double(model), device_of(model)
        parts: list[dict[str, Tensor]] = []
        for batch, tensors in on_device(attacked, device).batches(BATCH_SIZE, "x_adv", "exact"):
            x_adv, images = (tensors[name].to(device) for name in ("x_adv", "exact"))
            clipped = images.clamp(*batch.bounds)
            before, after, within = (net(x) for x in (batch.x.double(), images, clipped))
            outside = (images - clipped).abs() > self.tolerance
            quantities = {
                "exact": _gap(after, before),
                "float32": _gap(model(x_adv), model(batch.x)),
                "clipped": _gap(within, before),
                "argmax_changed_by_clipping": within.argmax(1) != after.argmax(1),
                "outside": outside.flatten(1).double().mean(1),
            }
            parts.append({name: values.double().cpu() for name, values in quantities.items()})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def gap_rows(name: str, gaps: Tensor, unit: Tensor) -> tuple[Row, Row]:
    """The mean of gaps (N,) over examples, and the largest of them."""
    mean = mean_of_pairs(gaps, unit, MAGNITUDES, quantity=name)
    largest = exact(gaps.max().item(), len(unit.unique()), quantity=f"largest_{name}")
    return mean, largest


def _gap(logits: Tensor, others: Tensor) -> Tensor:
    """The largest difference over classes, (B, K) twice to (B,)."""
    return (logits - others).abs().amax(1)

"""Whether images that were made to have the logits of others do have them."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.ops.precise import in_double
from invspec.ops.types import Range
from invspec.scoring.pairs import READ, device_of
from invspec.scoring.rows import exact, mean_of_pairs, share_of_pairs

GAPS = ("exact", "float32", "clipped")
LENGTHS: Range = (0.0, math.inf)


class LogitGap(Measure):
    """How far the logits of x_adv are from those of x: the largest difference of a logit, before and after clipping.

    A row for each quantity:

        exact                        of the images before they were rounded, in float64; mean over examples
        largest_exact                the same; the largest of all examples
        float32, largest_float32     of x_adv as it is stored, both it and x through the net as it is deployed
        clipped, largest_clipped     of the exact images brought back within the pixels' bounds, in float64
        argmax_changed_by_clipping   share of examples whose predicted label clipping changes
        outside                      share of pixels outside of their bounds, by more than tolerance

    Means have the interval of a bootstrap over sources (over examples, where they are not pairs). A largest describes
    the examples at hand, so that its interval is the value itself. n counts sources.

    Raises: InvspecError where the attack kept no exact images.
    """

    tolerance: Number = Field(
        default=1e-6, ge=0, description="rounding of a pixel that is not yet outside"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        if "exact" not in tuple(attacked.tensors):  # `in` the mapping itself may read the tensor
            raise InvspecError(
                "the attack kept no exact images", hint="measure `of` an attack that does: metamer"
            )
        found = self._found(model, attacked)
        source = attacked.judged.get("source", attacked.judged["index"])
        rows: list[Row] = []
        for name, each in found.items():
            if name in GAPS:
                rows += gap_rows(name, each, source)
            else:
                rows.append(share_of_pairs(each, source, quantity=name))
        return Scored(rows)

    @torch.no_grad()
    def _found(self, model: nn.Module, attacked: Examples) -> dict[str, Tensor]:
        """Each quantity of every example, by name: (N,) float64."""
        net, device = in_double(model), device_of(model)
        found: list[dict[str, Tensor]] = []
        # pixels are made on the device, as for the attack: a GPU divides by 255 otherwise than a CPU
        for batch, tensors in replace(attacked, clean=attacked.clean.to(device)).batches(
            READ, "x_adv", "exact"
        ):
            x_adv, exact = (tensors[name].to(device) for name in ("x_adv", "exact"))
            clipped = exact.clamp(*batch.bounds)
            before, after, within = (net(images) for images in (batch.x.double(), exact, clipped))
            outcome = {
                "exact": _gap(after, before),
                "float32": _gap(model(x_adv), model(batch.x)),
                "clipped": _gap(within, before),
                "argmax_changed_by_clipping": within.argmax(1) != after.argmax(1),
                "outside": ((exact - clipped).abs() > self.tolerance).flatten(1).double().mean(1),
            }
            found.append({name: each.double().cpu() for name, each in outcome.items()})
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}


def gap_rows(name: str, each: Tensor, source: Tensor) -> tuple[Row, Row]:
    """The mean of gaps (N,) over examples, and the largest of them."""
    return (
        mean_of_pairs(each, source, LENGTHS, quantity=name),
        exact(each.max().item(), len(source.unique()), quantity=f"largest_{name}"),
    )


def _gap(logits: Tensor, others: Tensor) -> Tensor:
    """The largest difference over classes, (B, K) twice to (B,)."""
    return (logits - others).abs().amax(1)

"""Judge perturbed examples in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.data import JUDGED, PAIRED, Batch, Perturbed
from invspec.errors import InvspecError


@torch.no_grad()
def judge(net: nn.Module, batch: Batch, perturbed: Perturbed) -> dict[str, Tensor]:
    """What became of every example, in float32, whatever the precision of the search."""
    x_adv = perturbed.x_adv.detach().float()
    assert x_adv.shape == batch.x.shape, (
        f"attack changed the shape {tuple(batch.x.shape)} to {tuple(x_adv.shape)}"
    )
    if not x_adv.isfinite().all():
        raise InvspecError(
            "the attack returned pixels that are not finite",
            hint="does the model give finite logits?",
        )
    confidence, prediction = F.softmax(net(batch.x), dim=1).max(dim=1)
    confidence_adv, prediction_adv = F.softmax(net(x_adv), dim=1).max(dim=1)
    delta = (x_adv - batch.x).flatten(1)
    columns = {
        "index": batch.index,
        "y": batch.y,
        "prediction": prediction,
        "prediction_adv": prediction_adv,
        "confidence": confidence,
        "confidence_adv": confidence_adv,
        "linf": delta.abs().amax(dim=1),
        "l2": delta.norm(dim=1),
        "forwards": perturbed.forwards,
        "backwards": perturbed.backwards,
    }
    assert tuple(columns) == JUDGED, "columns and their list differ"
    if batch.ends is not None and batch.y_target is not None:
        columns |= dict(zip(PAIRED, (*batch.ends.unbind(1), batch.y_target), strict=True))
    kept = (
        {} if perturbed.path is None else {"path": perturbed.path.transpose(0, 1)}
    )  # examples lead, as everywhere
    kept |= {} if perturbed.exact is None else {"exact": perturbed.exact}
    return {
        name: tensor.cpu().contiguous()
        for name, tensor in {**columns, "x_adv": x_adv, **kept}.items()
    }

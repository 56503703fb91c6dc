"""Judge attacked images with the deployed net in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.data import JUDGED, PAIRED, Batch, Perturbed
from invspec.errors import InvspecError


@torch.no_grad()
def judge(net: nn.Module, batch: Batch, perturbed: Perturbed) -> dict[str, Tensor]:
    """Predictions, confidences, distances and costs of every example, and its images, on the CPU.

    Returns the judged columns (B,), those of PAIRED for pairs, x_adv (B, C, H, W) and, where the
    attack gives them, path (B, T, C, H, W) and exact (B, C, H, W). net and images are float32,
    whatever the precision of the search.

    Raises: InvspecError if a pixel is not finite.
    """
    x_adv = perturbed.x_adv.detach().float()
    assert x_adv.shape == batch.x.shape, (
        f"attack changed the shape {tuple(batch.x.shape)} to {tuple(x_adv.shape)}"
    )
    if not x_adv.isfinite().all():
        raise InvspecError(
            "the attack returned pixels that are not finite",
            hint="check that the model's logits are finite",
        )
    columns = {**_columns(net, batch, x_adv, perturbed), "x_adv": x_adv}
    if perturbed.path is not None:
        # examples come first, as in every stored tensor
        columns["path"] = perturbed.path.transpose(0, 1)
    if perturbed.exact is not None:
        columns["exact"] = perturbed.exact
    return {name: column.cpu().contiguous() for name, column in columns.items()}


def _columns(
    net: nn.Module, batch: Batch, x_adv: Tensor, perturbed: Perturbed
) -> dict[str, Tensor]:
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
    assert tuple(columns) == JUDGED, f"judged columns are {tuple(columns)}, expected {JUDGED}"
    if batch.ends is not None and batch.y_target is not None:
        columns |= dict(zip(PAIRED, (*batch.ends.unbind(1), batch.y_target), strict=True))
    return columns

"""Judge attacked images with the deployed net in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.data import JUDGED, PAIRED, WALKED, Batch, Perturbed
from invspec.perform.promises import Subject, require_logits


@torch.no_grad()
def judge(
    net: nn.Module, batch: Batch, perturbed: Perturbed, subject: Subject
) -> dict[str, Tensor]:
    """Predictions, confidences, distances and costs of every example, and its images, on the CPU.

    Returns the judged columns (B,), those of PAIRED for pairs, x_adv (B, C, H, W) and, where the
    attack gives them, path (B, T, C, H, W), exact (B, C, H, W) and those of WALKED (B,). net and
    images are float32, whatever the precision of the search. perturbed keeps the promises of
    attacks.

    A label is the largest logit: the softmax rounds small differences away. A confidence is the
    largest softmax probability.

    Raises: InvspecError if a logit is not finite or the logits are not (B, K).
    """
    # by strides, libraries choose between kernels that round differently
    x_adv = perturbed.x_adv.detach().clone(memory_format=torch.contiguous_format)
    columns = {**_columns(net, batch, x_adv, perturbed, subject), "x_adv": x_adv}
    if perturbed.path is not None:
        # examples come first, as in every stored tensor
        columns["path"] = perturbed.path.transpose(0, 1)
    if perturbed.exact is not None:
        columns["exact"] = perturbed.exact
    walked = {name: getattr(perturbed, name) for name in WALKED}
    columns |= {name: column for name, column in walked.items() if column is not None}
    return {name: column.detach().cpu().contiguous() for name, column in columns.items()}


def _columns(
    net: nn.Module, batch: Batch, x_adv: Tensor, perturbed: Perturbed, subject: Subject
) -> dict[str, Tensor]:
    logits = require_logits(net(batch.x), batch, subject, "clean")
    logits_adv = require_logits(net(x_adv), batch, subject, "attacked")
    delta = (x_adv - batch.x).flatten(1)
    columns = {
        "index": batch.index,
        "y": batch.y,
        "prediction": logits.argmax(1),
        "prediction_adv": logits_adv.argmax(1),
        "confidence": logits.softmax(1).amax(1),
        "confidence_adv": logits_adv.softmax(1).amax(1),
        "linf": delta.abs().amax(dim=1),
        "l2": delta.norm(dim=1),
        "forwards": perturbed.forwards,
        "backwards": perturbed.backwards,
    }
    assert tuple(columns) == JUDGED, f"judged columns are {tuple(columns)}, expected {JUDGED}"
    if batch.ends is not None and batch.y_target is not None:
        columns |= dict(zip(PAIRED, (*batch.ends.unbind(1), batch.y_target), strict=True))
    return columns

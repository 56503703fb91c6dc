"""Judged examples and pairs, and what the measures' cards score on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from columns import filled
from torch import nn

from invspec.attacks.null_step import NullStep
from invspec.data import Examples, PathPromise, TensorSplit
from invspec.kinds import Bijective, Targets
from invspec.models.two_layer import TwoLayerNet
from invspec.perform.pairs import paired
from invspec.registry.cards import names
from invspec.registry.methods import make, resolve

N, CLASSES = 24, 3
MEASURES = [
    name
    for name in names("measure")
    if not any(i.is_required() for i in resolve("measure", name).model_fields.values())
]


def examples(seed, classes=CLASSES):
    """Noise, judged by a linear model that is also the oracle; a third of the labels are right."""
    rng = torch.Generator().manual_seed(seed)
    x, x_adv = torch.rand(2, N, 1, 4, 4, generator=rng)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, classes)).requires_grad_(False)
    y, probs, probs_adv = torch.arange(N) % classes, model(x).softmax(1), model(x_adv).softmax(1)
    delta = (x_adv - x).flatten(1)
    judged = {
        "index": torch.arange(N) + 7,
        "y": y,
        "prediction": probs.argmax(1),
        "prediction_adv": probs_adv.argmax(1),
        "confidence": probs.amax(1),
        "confidence_adv": probs_adv.amax(1),
        "linf": delta.abs().amax(1),
        "l2": delta.norm(dim=1),
        "forwards": torch.ones(N, dtype=torch.int64),
        "backwards": torch.ones(N, dtype=torch.int64),
    }
    clean = TensorSplit(x, y, index=judged["index"])
    tensors = {"x_adv": x_adv, "exact": x_adv.double()}
    return model, Examples(
        clean, filled(judged), tensors, settings={"eps": 0.1, "norm": "linf"}, oracle=model
    )


def pairs(seed, classes=CLASSES):
    """The same images as sources of pairs with two targets each, and paths of three steps."""
    model, one = examples(seed, classes)
    images = TensorSplit(one.clean.pixels, one.clean.y)
    clean = paired(images, images, Targets(indices=(0, 1, 2)), classes)
    (batch,) = clean.batches(len(clean))
    judged = {name: column[clean.source] for name, column in vars(one.judged).items()}
    judged |= {
        "index": batch.index,
        "source": clean.source,
        "target": clean.target,
        "y_target": batch.y_target,
    }
    path = torch.stack(
        [torch.lerp(batch.x, batch.targets, share) for share in (0.0, 0.1, 0.2)], dim=1
    )
    promise = PathPromise(max_drop=0.05, longest_step=None, jumps=False)
    tensors = {"x_adv": path[:, -1], "path": path, "exact": path[:, -1].double()}
    tensors |= {"ran_out": torch.arange(len(path)) % 3 == 0}
    judged_pairs = filled(judged)
    return model, Examples(clean, judged_pairs, tensors, oracle=model, path_promise=promise)


class Turned(nn.Module):
    """A bijection: an orthogonal matrix times the pixels; the first products are the logits."""

    def __init__(self, classes=CLASSES):
        super().__init__()
        self.classes = classes
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(16, 16)).Q, requires_grad=False)

    def encode(self, x):
        code = x.flatten(1) @ self.turn.mT
        return code[:, : self.classes], code[:, self.classes :]

    def encode_with_log_det(self, x):
        return *self.encode(x), x.new_zeros(len(x))

    def decode(self, semantic, nuisance):
        return (torch.cat([semantic, nuisance], dim=1) @ self.turn).view(-1, 1, 4, 4)

    def forward(self, x):
        return self.encode(x)[0]


def inputs(name, device="cpu", absent=None):
    """The measure with a net on a device, and the examples that it reads, on the CPU as in a run.

    absent: what the measure gets in place of a net.
    """
    measure = make("measure", name, {})
    if "distance" in type(measure).model_fields:
        measure = measure.model_copy(update={"distance": "rmse"})  # which needs no weights
    if name == "code_dependence":
        measure = measure.smoke()  # which finds whole batches among few images
    model, one = pairs(0) if measure.wants_target else examples(0)
    if name == "null_step_exactness":
        model, one = (
            TwoLayerNet(16, 8, CLASSES),
            replace(one, settings=NullStep().identity["fields"]),
        )
    if name == "decision_plane":  # between two classes, and only its second attack is on pairs
        measure, model = measure.smoke(), Turned(2)
        of = [examples(0, 2)[1], pairs(0, 2)[1]]
    elif name == "source_plane":  # of two attacks that lead to different images
        measure = measure.smoke()
        of = [replace(one, tensors={**one.tensors, "x_adv": one.x_adv.flip(0)}), one]
    else:
        model = Turned() if measure.accepts is Bijective else model
        of = sweep(one, name) if measure.takes_sweep else [one] * measure.takes[0]
    model = model.to(device) if absent is None else absent
    of = [replace(taken, oracle=moved(taken.oracle, device)) for taken in of]
    return measure, model, of


def score(name, device="cpu", absent=None):
    """The measure's scores."""
    measure, model, of = inputs(name, device, absent)
    return measure.score(model, *of)


def moved(net: Any, device: str) -> nn.Module:
    """The net on a device, where a run has an oracle too."""
    return net.to(device)


# the swept field of measures of a sweep, and its values; for others the budget
SWEPT = {
    "layer_metamer_pictures": ("layer", ("first", "second", "third")),
    "mean_corruption_error": ("severity", (1, 3, 5)),
}


def sweep(one, name):
    """The same examples after attacks of three budgets, on three layers, or severities."""
    field, values = SWEPT.get(name, ("eps", (0.0, 0.1, 0.3)))
    settings = {**one.settings, "corruption": "fog"}
    return [replace(one, settings={**settings, field: value}) for value in values]

"""Perform a training."""

from __future__ import annotations

import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.ops.draws import Stream, digest
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import read_split
from invspec.tasks import Train, draw_name


def fresh(task: Train) -> nn.Module:
    """The untrained net, on the CPU; its first weights depend on data set, model and seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest("weights " + draw_name(task))[:8], "big") >> 1)
        return task.model.build(task.dataset.shape, task.dataset.classes)


def train(task: Train, runtime: Runtime) -> Artifact:
    """Train a net from its first weights."""
    data = read_split(task.dataset, "train").to(runtime.device)  # pyright: ignore[reportArgumentType]  # frozen: hashable
    net = fresh(task).to(runtime.device)
    curves = task.defence.train(
        net, data, Stream("training " + draw_name(task)), runtime.journal(task)
    )
    state = net.train().state_dict()
    weights = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()
    }  # tied ones apart
    bad = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if bad:
        raise InvspecError(
            f"training left weights that are not finite ({bad[0]})", hint="lower the learning rate"
        )
    return Artifact(weights, curves=curves)

"""Perform a training."""

from __future__ import annotations

import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.ops.draws import Stream, digest
from invspec.perform.results import checked
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import read_split
from invspec.tasks import Train, draw_name


def fresh(task: Train) -> nn.Module:
    """The untrained net, on the CPU. Its initial weights depend on data set, model and seed."""
    seed = int.from_bytes(digest("weights " + draw_name(task))[:8], "big") >> 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = task.model.build(task.dataset.shape, task.dataset.classes)
    return checked(net, nn.Module, task.model)


def train(task: Train, runtime: Runtime) -> Artifact:
    """Train a net from its initial weights."""
    # a Dataset is frozen, and so hashable
    data = read_split(task.dataset, "train").to(runtime.device)  # pyright: ignore[reportArgumentType]
    net = fresh(task).to(runtime.device)
    rng = Stream("training " + draw_name(task))
    curves = task.defence.train(net, data, rng, runtime.journal(task))
    return Artifact(_weights(net), curves=curves)


def _weights(net: nn.Module) -> dict[str, torch.Tensor]:
    """The trained weights, on the CPU. Raises InvspecError if one is not finite."""
    # cloned, because safetensors refuses tied weights that share memory
    weights = {
        name: weight.detach().cpu().contiguous().clone()
        for name, weight in net.train().state_dict().items()
    }
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise InvspecError(
                f"training left weights that are not finite ({name})", hint="lower lr"
            )
    return weights

"""Untrained nets."""

from __future__ import annotations

from torch import nn

from invspec.ops.draws import digest
from invspec.ops.generators import seeded_by
from invspec.ops.modules import with_sizes
from invspec.perform.results import checked
from invspec.tasks import Train, draw_name


def fresh(task: Train) -> nn.Module:
    """The untrained net, on the CPU. Its initial weights depend on data set, model and seed."""
    seed = int.from_bytes(digest("weights " + draw_name(task))[:8], "big") >> 1
    with seeded_by(seed):
        net = checked(
            task.model.build(task.dataset.shape, task.dataset.classes), nn.Module, task.model
        )
        return with_sizes(net, task.dataset.shape)

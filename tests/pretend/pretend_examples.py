"""Operations whose costs and results on the pretend device are known; runs in the child."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pretend_bits import differences
from pretend_counts import Event, counting
from pretend_device import NAME
from torch import Tensor, nn

from invspec.ops.geometry import Fill, transform
from invspec.search.gradients import input_gradient

# each is given a matrix (4, 3) on the device
Operation = Callable[[Tensor], object]
SYNCS: dict[str, Operation] = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "bool": lambda x: bool(x.any()),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu", torch.float64),
    "copy_": lambda x: torch.empty(4, 3).copy_(x),
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0)[0],
    "mask": lambda x: x[x[:, 0] > 0],
    "masked_select": lambda x: x.masked_select(x > 0),
    "values under a mask": lambda x: x.index_put_((x[:, 0] < 2,), x.new_zeros(4, 3)),
    "equal": lambda x: torch.equal(x, x),
    "unique": lambda x: x.unique(),
    "solve": lambda x: torch.linalg.inv(x[:3]),
    "svd": lambda x: torch.linalg.svd(x),
}
COPIES: dict[str, Operation] = {
    "to": lambda x: torch.zeros(3).to(x),
    "tensor": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "as_tensor": lambda x: torch.as_tensor(0.3, device=x.device),
    "new_tensor": lambda x: x.new_tensor([1.0]),
    "copy_": lambda x: x.copy_(torch.zeros(4, 3)),
    "index": lambda x: x[torch.arange(2)],
    "mask on the cpu": lambda x: x[torch.tensor([True, False, True, False])],
}
LAUNCHES: dict[str, Operation] = {
    "add": lambda x: x + 1,
    "number from the cpu": lambda x: x * torch.tensor(2.0),
    "zeros": lambda x: torch.zeros(3, device=x.device),
    "arange": lambda x: torch.arange(3, device=x.device),
    "rand": lambda x: torch.rand(3, device=x.device),
    "index": lambda x: x[x.new_zeros(2, dtype=torch.int64)],
    "number under a mask": lambda x: x.masked_fill_(x > 0, 0),
    "select": lambda x: torch.where(x > 0, x, 0),
    "clone": lambda x: x.clone(),
}
SILENT: dict[str, Operation] = {
    "view": lambda x: x.view(-1),
    "slice": lambda x: x[1:, :2],
    "transpose": lambda x: x.mT,
    "detach": lambda x: x.detach(),
    "empty": lambda x: torch.empty_like(x),
    "shape": lambda x: len(x),
}
REFUSED: dict[str, Operation] = {
    "add": lambda x: x + torch.zeros(3),
    "matmul": lambda x: x @ torch.zeros(3, 1),
    "cat": lambda x: torch.cat([x, torch.zeros(1, 3)]),
    "index of a cpu tensor": lambda x: torch.zeros(4)[torch.arange(2, device=x.device)],
    "add to a cpu tensor": lambda x: torch.zeros(4, 3).add_(x),
    "add to a cpu number": lambda x: torch.zeros(()).add_(x.sum()),
    "cpu generator": lambda x: torch.rand(3, device=x.device, generator=torch.Generator()),
    "numpy": lambda x: x.numpy(),
    "resize": lambda x: x.resize_(2, 3),
    "resize of a result": lambda x: torch.add(x[:2], 1, out=x[:1]),
}
OPERATIONS = {
    "sync": SYNCS,
    "host_copy": COPIES,
    "launch": LAUNCHES,
    "silent": SILENT,
    "refused": REFUSED,
}


def costs(group: str, name: str) -> dict[Event, int]:
    """How many events an operation causes."""
    x = torch.arange(12.0).view(4, 3).square().sin().to(NAME)
    with counting() as counts:
        OPERATIONS[group][name](x)
    return {event: counts.total(event) for event in ("sync", "host_copy", "launch")}


def sites_of_a_gradient() -> dict[str, int]:
    """Where a forward and a backward pass launch kernels."""
    x, y = torch.rand(2, 3, device=NAME), torch.zeros(2, dtype=torch.int64, device=NAME)
    with counting() as counts:
        input_gradient(nn.ReLU(), lambda logits, y: logits.exp().sum(1), x, y)
    return counts.at("launch")


def motions() -> tuple[Tensor, ...]:
    """Images, degrees, dx and dy: motions that only move pixels, and others."""
    degrees = torch.tensor([0.0, 90.0, -90.0, 180.0, 33.3, 90.0, 45.0])
    dx = torch.tensor([0.0, 2.0, -1.0, 9.0, 1.0, 0.5, 0.0])
    return torch.rand(7, 2, 8, 8, generator=torch.Generator().manual_seed(0)), degrees, dx, -dx


def moved_on_the_device(given_on: str, fill: Fill) -> tuple[list[str], int]:
    """Where images moved on the device differ from the CPU's, and how often the host waited."""
    x, *motion = motions()
    there = [part.to(given_on) for part in motion]
    with counting() as counts:
        found = transform(x.to(NAME), *there, fill=fill)
    return differences(transform(x, *motion, fill=fill), found), counts.total("sync")


def shapes_after_squeezes() -> list[tuple[int, ...]]:
    """Shapes of a tensor, and of its numbers, after changes in place."""
    x = torch.zeros(1, 4, 3, device=NAME)
    x.squeeze_(0).unsqueeze_(2).transpose_(0, 1)
    return [tuple(x.shape), tuple(x.cpu().shape), tuple((x + 1).shape)]


def tied_weights_stay_tied() -> bool:
    """Whether a weight that two layers share is still one weight after a move."""
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    net.to(NAME)
    return net[0].weight is net[1].weight and net[0].weight.device.type == NAME

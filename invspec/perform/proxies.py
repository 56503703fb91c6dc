"""Nets as attacks and measures see them: deployed, padded, and perhaps in bfloat16."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Split
from invspec.errors import InvspecError
from invspec.kinds import BATCHED, Method
from invspec.memory import BLOCK, Limit, in_pieces
from invspec.ops.modules import device_of, moved
from invspec.ops.proxy import ModelProxy
from invspec.perform import bits, soundness
from invspec.perform.cuda_graphs import recorder_on
from invspec.perform.fresh import fresh
from invspec.perform.graphs import Graphs
from invspec.perform.random_nets import Averaged
from invspec.perform.recording import Recorder
from invspec.perform.runtime import Runtime
from invspec.perform.soundness import Findings, Flaw
from invspec.perform.untouched import Changed, untouched
from invspec.perform.words import words
from invspec.tasks import Perturb, Precision, Train


class Padded(ModelProxy):
    """A net whose batches are padded to a multiple of BLOCK, so that batch size changes no number.

    The last row is repeated. Both directions of a bijection are padded, too. A batch that needs no
    graph and does not fit into memory is computed in pieces of at most limit.most rows. Where there
    is a recorder, passes to the logits are replayed if their shape repeats.
    """

    routed = BATCHED

    def __init__(
        self, net: nn.Module, limit: Limit | None = None, recorder: Recorder | None = None
    ) -> None:
        super().__init__(net)
        self.limit = limit or Limit()
        # what is known about the net as a function of the image
        self.findings: Findings | None = None
        self.graphs = None if recorder is None else Graphs(net, recorder)

    @property
    def is_random(self) -> bool:
        """Whether the net is known to draw random numbers."""
        if isinstance(self.net, Averaged):
            return True
        flaw = None if self.findings is None else self.findings.flaw
        return flaw is not None and flaw.is_random

    def call(self, function: Callable[..., Any], *tensors: Tensor, **named: Tensor) -> Any:
        """Call the function on padded tensors (B, ...), and cut its results back to B rows."""
        if self.graphs is not None and function is self.net:
            function = self.graphs

        def compute(*values: Tensor) -> Any:
            names = dict(zip(named, values[len(tensors) :], strict=True))
            return _padded(function, values[: len(tensors)], names)

        return in_pieces(compute, *tensors, *named.values(), limit=self.limit)


def _padded(
    function: Callable[..., Any], tensors: Sequence[Tensor], named: Mapping[str, Tensor]
) -> Any:
    rows = len(next(iter((*tensors, *named.values()))))
    missing = -rows % BLOCK
    if not missing:
        return function(*tensors, **named)

    def padded(x: Tensor) -> Tensor:
        return torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])

    results = function(*map(padded, tensors), **{name: padded(x) for name, x in named.items()})
    if isinstance(results, Tensor):
        return results[:rows]
    return tuple(result[:rows] for result in results)


class Bfloat16(ModelProxy):
    """A net that computes logits in bfloat16 and channels-last, with float32 inputs and outputs.

    Everything else that the net offers stays in float32.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.low = copy.deepcopy(net).bfloat16().to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) float32 to logits (B, K) float32."""
        return self.low(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()


# an attack may have a net and a generator, a score a net and an oracle
@lru_cache(maxsize=2)
def deployed(task: Train, runtime: Runtime) -> Padded:
    """The trained net of a task, padded, on the device of the runtime."""
    net = fresh(task)
    net.load_state_dict(dict(runtime.load(task).tensors))
    limit = runtime.limits.of(Padded, task.model, task.dataset.shape)
    net = moved(task.model.deploy(net), runtime.device)
    if passes := task.model.random_passes:
        return Padded(Averaged(net, passes), limit)
    return Padded(net, limit, recorder_on(runtime.device))


def sound(task: Train, images: Split, runtime: Runtime) -> Padded:
    """The deployed net of a task, if it is a function of the image alone.

    images is what it will be asked about. A warning tells of a net that draws from seeded
    generators.

    Raises: InvspecError if the net is not a function of the image.
    """
    net, flaw = _probed(task, images, runtime)
    if flaw is not None:
        if not flaw.is_random:
            raise _refusal(task, flaw)
        runtime.warn(str(_refusal(task, flaw)))
    return net


def examinable(task: Train, images: Split, runtime: Runtime) -> Padded:
    """The deployed net of a task, for checks: they tell of most of what `sound` refuses.

    Raises: InvspecError if the net returns no logits or changes its images.
    """
    net, flaw = _probed(task, images, runtime)
    if flaw is not None and flaw.stops_checks:
        raise _refusal(task, flaw)
    return net


def _probed(task: Train, images: Split, runtime: Runtime) -> tuple[Padded, Flaw | None]:
    """The deployed net of a task and its flaw; it is judged by the first few images, once."""
    net = deployed(task, runtime)
    if net.findings is None:
        (batch,) = images.head(BLOCK).to(runtime.device).batches(BLOCK)
        net.findings = soundness.examine(net, batch.x) if len(batch) else soundness.Findings()
    return net, net.findings.flaw


def _refusal(task: Train, flaw: Flaw) -> InvspecError:
    return InvspecError(f"net {words(task.model)} {flaw.message}", hint=flaw.hint)


@contextmanager
def left_alone(task: Train, user: Method, runtime: Runtime) -> Generator[None]:
    """Refuse a user of the deployed net that changes it. Raises: Changed."""
    net = deployed(task, runtime)
    own = net.findings.own_changes if net.findings else frozenset[str]()
    try:
        with untouched(net.net, words(user), own):
            yield
    except Changed:
        # other tasks of this process must not get it
        deployed.cache_clear()
        raise


def searched(net: Padded, precision: Precision) -> Padded:
    """The net in the precision in which an attack searches; a random one draws in every pass."""
    inner, recorder = net.net, recorder_on(device_of(net))
    if is_random := isinstance(inner, Averaged):
        inner, recorder = inner.net, None
    if precision == "float32":
        return Padded(inner, net.limit) if is_random else net
    return Padded(Bfloat16(inner), net.limit, recorder)


def bits_promise(task: Perturb, runtime: Runtime) -> str:
    """`bits.promise` for the net that the task's attack searches on."""
    return _bits_promise(task.train, task.precision, runtime)


@lru_cache(maxsize=64)
def _bits_promise(train: Train, precision: Precision, runtime: Runtime) -> str:
    if train.model.random_passes:
        return bits.BROKEN + "the net draws random numbers"
    net = searched(deployed(train, runtime), precision)
    return bits.promise(net, train.dataset.shape, runtime.device)

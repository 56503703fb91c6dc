"""Replayed passes give what the net gives, to the bit, and nobody notices them."""

from __future__ import annotations

import copy
import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec import memory
from invspec.attacks.apgd import APGD
from invspec.attacks.ddn import DDN
from invspec.attacks.deepfool import DeepFool
from invspec.attacks.fab import FAB
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.kinds import Attack
from invspec.ops.draws import PerExample
from invspec.ops.precise import in_double
from invspec.perform.graphs import EAGER, MOST, Graphs
from invspec.perform.proxies import Padded

SHAPE, CLASSES = (1, 6, 6), 3


class Tape:
    """Records on the CPU, and loses what a GPU would lose.

    Work is repeated into the tensor of its first result. The memory of a pass belongs to the pass
    that ran last, so that the backward pass of another one would give NaN.
    """

    def __init__(self) -> None:
        self.precision = "ieee"
        self.recorded: list[weakref.ref[Tensor]] = []
        self.replays = 0
        self.owner: object = None

    def settings(self) -> str:
        return self.precision

    def rehearse(self, work: Callable[[], Tensor]) -> Tensor:
        return work()

    def record(self, work: Any) -> tuple[Tensor, Callable[[], None]]:
        result = self.changed(work().clone())
        self.recorded.append(weakref.ref(result))
        passes, run = weakref.ref(work.__self__), work.__func__
        begins, self.owner = self.owner != passes, passes

        def replay() -> None:
            self.replays += 1
            if begins:
                self.owner = passes
            kept = self.owner == passes
            result.copy_(self.changed(run(passes())) if kept else result * torch.nan)

        return result, replay

    def changed(self, result: Tensor) -> Tensor:
        """A subclass may change what is computed."""
        return result


def net() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )
    return layers.eval().requires_grad_(False)


def images(n: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def passed(model: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and the gradient of a loss."""
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    loss = nn.functional.cross_entropy(logits, torch.zeros(len(x)).long(), reduction="sum")
    return logits.detach(), torch.autograd.grad(loss, leaf)[0]


def assert_equal(model: Any, own: nn.Module, x: Tensor) -> None:
    for replayed, expected in zip(passed(model, x), passed(own, x), strict=True):
        assert torch.equal(replayed, expected)
    assert torch.equal(model(x), own(x))


def recorded(own: nn.Module | None = None, recorder: Tape | None = None) -> Graphs:
    """A net whose passes for 16 images are replayed, with and without gradients."""
    graphs = Graphs(own or net(), recorder or Tape())
    for seed in range(EAGER + 1):
        passed(graphs, images(seed=seed))
        graphs(images(seed=seed))
    return graphs


def replays(graphs: Any, run: Callable[[], object]) -> int:
    """Number of replays in a run."""
    before = graphs.recorder.replays
    run()
    return graphs.recorder.replays - before


# ─ replays ────────────────────────────────────────────────────────────────────────────────────────


def test_a_shape_is_recorded_after_some_passes_and_then_replayed() -> None:
    graphs = Graphs(net(), Tape())
    for _ in range(EAGER):
        passed(graphs, images())
    assert graphs.recorder.recorded == []
    passed(graphs, images())
    assert len(graphs.recorder.recorded) == 2
    assert replays(graphs, lambda: passed(graphs, images())) == 2
    assert len(graphs.recorder.recorded) == 2


def test_passes_with_and_without_gradients_are_recorded_apart() -> None:
    graphs = recorded()
    assert len(graphs.recorder.recorded) == 3
    assert replays(graphs, lambda: graphs(images())) == 1
    with torch.no_grad():
        assert replays(graphs, lambda: graphs(images().requires_grad_())) == 1


def test_replays_give_the_bits_of_the_net() -> None:
    graphs = recorded()
    for seed in range(5):
        assert replays(graphs, lambda s=seed: assert_equal(graphs, net(), images(seed=s))) == 3


def test_logits_are_kept_while_others_are_computed() -> None:
    graphs = recorded()
    first, second = graphs(images(seed=1)), graphs(images(seed=2))
    assert torch.equal(first, net()(images(seed=1)))
    assert torch.equal(second, net()(images(seed=2)))


def test_gradients_are_kept_while_others_are_computed() -> None:
    graphs = recorded()
    gradients = [passed(graphs, images(seed=seed))[1] for seed in (1, 2)]
    assert torch.equal(gradients[0], passed(net(), images(seed=1))[1])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("sizes", [(16, 16), (16, 32)])
def test_the_gradient_of_a_pass_is_right_after_another_pass(
    order: tuple[int, int], sizes: tuple[int, int]
) -> None:
    graphs = recorded()
    for _ in range(EAGER + 1):
        passed(graphs, images(32))
    leaves = [images(n, seed=n + i).requires_grad_() for i, n in enumerate(sizes)]
    totals = [graphs(leaf).square().sum() for leaf in leaves]
    for i in order:
        (gradient,) = torch.autograd.grad(totals[i], leaves[i])
        own = leaves[i].detach().requires_grad_()
        assert torch.equal(gradient, torch.autograd.grad(net()(own).square().sum(), own)[0])


def test_a_pass_gives_several_gradients() -> None:
    graphs, leaf, own = recorded(), images().requires_grad_(), images().requires_grad_()
    logits, expected = graphs(leaf), net()(own)
    for k in range(CLASSES):
        (gradient,) = torch.autograd.grad(
            logits.gather(1, torch.full((16, 1), k)).sum(), leaf, retain_graph=True
        )
        (slope,) = torch.autograd.grad(
            expected.gather(1, torch.full((16, 1), k)).sum(), own, retain_graph=True
        )
        assert torch.equal(gradient, slope)


def test_a_recording_between_a_pass_and_its_gradient_spoils_nothing() -> None:
    graphs, leaf = recorded(), images(seed=7).requires_grad_()
    total = graphs(leaf).square().sum()
    for _ in range(EAGER + 1):
        graphs(images(48))
    (gradient,) = torch.autograd.grad(total, leaf)
    own = images(seed=7).requires_grad_()
    assert torch.equal(gradient, torch.autograd.grad(net()(own).square().sum(), own)[0])


def test_a_recording_that_is_given_up_between_a_pass_and_its_gradient_spoils_nothing() -> None:
    recorder = Wrong()
    recorder.wrong = False
    graphs, leaf = recorded(recorder=recorder), images(seed=7).requires_grad_()
    total = graphs(leaf).square().sum()
    recorder.wrong = True
    for _ in range(EAGER + 1):
        graphs(images(48))
    recorder.wrong = False
    (gradient,) = torch.autograd.grad(total, leaf)
    own = images(seed=7).requires_grad_()
    assert torch.equal(gradient, torch.autograd.grad(net()(own).square().sum(), own)[0])


def test_gradients_flow_through_what_comes_before_the_net() -> None:
    graphs, leaf, own = recorded(), images().requires_grad_(), images().requires_grad_()
    (gradient,) = torch.autograd.grad(graphs((2 * leaf).sin()).square().sum(), leaf)
    assert torch.equal(gradient, torch.autograd.grad(net()((2 * own).sin()).square().sum(), own)[0])


def test_a_gradient_of_the_gradient_is_that_of_the_net() -> None:
    def curvature(model: Callable[[Tensor], Tensor]) -> Tensor:
        leaf = images().requires_grad_()
        total = model(leaf).pow(3).sum()
        (gradient,) = torch.autograd.grad(total, leaf, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), leaf)[0]

    graphs = recorded()
    assert torch.equal(curvature(graphs), curvature(net()))
    assert curvature(net()).abs().sum() > 0


def test_a_gradient_in_another_layout_is_that_of_the_net() -> None:
    graphs, leaf, own = recorded(), images().requires_grad_(), images().requires_grad_()

    def gradient() -> Tensor:
        # the sum's gradient is one number, seen as (B, K)
        return torch.autograd.grad(graphs(leaf).sum(), leaf)[0]

    assert replays(graphs, gradient) == 1
    assert torch.equal(gradient(), torch.autograd.grad(net()(own).sum(), own)[0])


# ─ attacks ────────────────────────────────────────────────────────────────────────────────────────

ATTACKS = (
    PGD(eps=0.1, steps=10),
    PGD(eps=0.5, norm="l2", steps=10, restarts=2),
    NSPGD(step_size=0.1, steps=10),
    DDN(steps=10),
    DeepFool(steps=10),
    FAB(steps=5),
    APGD(eps=0.1, steps=20),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: type(attack).__name__)
def test_attacks_find_the_same_images_and_count_the_same_passes(attack: Attack) -> None:
    x = images(40)
    batch = Batch(x, net()(x).argmax(1), torch.arange(40), x_target=1 - x)
    tape = Tape()
    results = [
        attack.perturb(model, batch, PerExample("attack", batch.index))
        for model in (Padded(net()), Padded(net(), recorder=tape))
    ]
    assert tape.replays > 10
    for name in ("x_adv", "forwards", "backwards"):
        assert torch.equal(getattr(results[0], name), getattr(results[1], name))


def test_batches_that_are_padded_to_one_size_share_a_recording() -> None:
    tape = Tape()
    model = Padded(net(), recorder=tape)
    for n in (*range(1, EAGER + 1), 16):
        assert torch.equal(model(images(n)), Padded(net())(images(n)))
    assert len(tape.recorded) == 1


# ─ where the net is called ────────────────────────────────────────────────────────────────────────


class Wrong(Tape):
    """Replays that are wrong in the last bit, as long as it says so."""

    wrong = True

    def changed(self, result: Tensor) -> Tensor:
        return torch.nextafter(result, torch.tensor(torch.inf)) if self.wrong else result


def test_a_shape_whose_replay_gives_other_bits_stays_with_the_net(
    caplog: pytest.LogCaptureFixture,
) -> None:
    graphs = recorded(recorder=Wrong())
    assert replays(graphs, lambda: assert_equal(graphs, net(), images())) == 0
    messages = [record.getMessage() for record in caplog.records]
    # one for passes with gradients, one for those without
    assert (
        messages
        == ["Sequential runs without CUDA graphs on (16, 1, 6, 6): a replay gives other bits"] * 2
    )


class Noisy(nn.Module):
    """Adds noise to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + 0.1 * torch.rand_like(x)).flatten(1)


class Counting(nn.Module):
    """Its result depends on the number of its calls, as a recording cannot."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.calls * x.flatten(1)


@pytest.mark.parametrize("own", [Noisy(), Counting()], ids=lambda own: type(own).__name__)
def test_a_net_that_gives_other_results_each_time_is_not_replayed(own: nn.Module) -> None:
    graphs = recorded(own.eval())
    assert replays(graphs, lambda: graphs(images())) == 0


def test_a_net_that_draws_numbers_draws_the_same_ones() -> None:
    drawn: list[list[Tensor]] = []
    for model in (Noisy().eval(), Graphs(Noisy().eval(), Tape())):
        torch.manual_seed(0)
        drawn.append([model(images()) for _ in range(EAGER + 3)])
    assert all(torch.equal(*pair) for pair in zip(*drawn, strict=True))


class Refusing(Tape):
    """Cannot record, because the net waits for the device or for another reason."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem = problem

    def rehearse(self, work: Callable[[], Tensor]) -> Tensor:
        raise self.problem


def test_a_net_that_cannot_be_recorded_is_called_and_not_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    graphs = recorded(recorder=Refusing(RuntimeError("called a synchronizing operation\nhere")))
    assert_equal(graphs, net(), images())
    for _ in range(EAGER + 1):
        assert_equal(graphs, net(), images(32))
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "Sequential runs without CUDA graphs on (16, 1, 6, 6): called a synchronizing operation"
    ]


def test_where_memory_lacks_for_a_recording_all_recordings_free_theirs() -> None:
    other = recorded()
    recorded(recorder=Refusing(torch.OutOfMemoryError("full")))
    gc.collect()
    assert [result() for result in other.recorder.recorded] == [None] * 3
    assert_equal(other, net(), images())


def test_lack_of_memory_frees_all_recordings_for_good() -> None:
    graphs = recorded()
    memory.release()
    gc.collect()
    assert [result() for result in graphs.recorder.recorded] == [None] * 3
    for _ in range(EAGER + 1):
        assert replays(graphs, lambda: assert_equal(graphs, net(), images())) == 0


def test_only_so_many_shapes_are_recorded() -> None:
    graphs = Graphs(net(), Tape())
    for blocks in range(1, MOST + 3):
        for _ in range(EAGER + 1):
            graphs(images(16 * blocks))
    assert len(graphs.recorder.recorded) == MOST
    assert replays(graphs, lambda: graphs(images(16 * MOST))) == 1
    assert replays(graphs, lambda: graphs(images(16 * (MOST + 1)))) == 0


def with_hook(graphs: Any) -> list[Tensor]:
    outputs: list[Tensor] = []
    handle = graphs.net[0].register_forward_hook(lambda *args: outputs.append(args[-1]))
    graphs(images())
    handle.remove()
    return outputs


def test_hooks_see_every_pass_and_replays_go_on_without_them() -> None:
    graphs = recorded()
    assert replays(graphs, lambda: with_hook(graphs)) == 0
    assert len(with_hook(graphs)) == 1
    assert replays(graphs, lambda: graphs(images())) == 1


def observed(graphs: Graphs) -> Tensor:
    return memory.observed(graphs, graphs.net, images().requires_grad_())


def in_bfloat16(graphs: Graphs) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return graphs(images())


def under_inference(graphs: Graphs) -> Tensor:
    with torch.inference_mode():
        return graphs(images())


def in_a_mode(graphs: Graphs) -> Tensor:
    with torch.device("cpu"):
        return graphs(images())


def vectorised(graphs: Graphs) -> Tensor:
    return torch.func.vmap(lambda x: graphs(x.unsqueeze(0)).squeeze(0))(images())


def forward_mode(graphs: Graphs) -> Tensor:
    return torch.func.jvp(graphs, (images(),), (images(),))[1]


def with_a_tangent(graphs: Graphs) -> Tensor | None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(images(), images())
        return torch.autograd.forward_ad.unpack_dual(graphs(dual)).tangent


def in_training(graphs: Any) -> Tensor:
    graphs.net[1].train()
    return graphs(images())


def with_trained_weights(graphs: Any) -> Tensor:
    graphs.net[4].requires_grad_()
    return graphs(images())


def of_another_layout(graphs: Graphs) -> Tensor:
    return graphs(images().transpose(2, 3))


def of_no_images(graphs: Graphs) -> Tensor:
    return graphs(images()[:0])


OUTSIDE = (
    *(observed, in_bfloat16, under_inference, in_a_mode, vectorised, forward_mode),
    *(with_a_tangent, in_training, with_trained_weights, of_another_layout, of_no_images),
)


# torch's own use of it, in derivatives of forward mode
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")
@pytest.mark.parametrize("use", OUTSIDE)
def test_what_a_replay_cannot_do_the_net_does(use: Callable[[Any], Tensor]) -> None:
    graphs, own = recorded(), Graphs(net(), Tape())
    assert replays(graphs, lambda: use(graphs)) == 0
    assert torch.equal(use(graphs), use(own))


def test_weights_that_are_trained_get_their_gradient() -> None:
    graphs: Any = recorded()
    graphs.net[4].requires_grad_()
    graphs(images()).sum().backward()
    assert graphs.net[4].weight.grad is not None


# ─ other weights, copies and the end ──────────────────────────────────────────────────────────────


def changed_in_place(own: Any) -> None:
    with torch.no_grad():
        own[4].weight.mul_(2)


def replaced(own: Any) -> None:
    own[4].weight = nn.Parameter(2 * own[4].weight, requires_grad=False)


def loaded(own: Any) -> None:
    own.load_state_dict({name: 2 * value for name, value in own.state_dict().items()})


def buffer_changed(own: Any) -> None:
    own[1].running_mean += 1


@pytest.mark.parametrize("change", [changed_in_place, replaced, loaded, buffer_changed])
def test_a_net_with_other_weights_is_recorded_again(change: Callable[[Any], None]) -> None:
    graphs, own = recorded(), net()
    change(graphs.net)
    change(own)
    assert replays(graphs, lambda: graphs(images())) == 0
    for _ in range(EAGER + 1):
        assert_equal(graphs, own, images())
    assert len(graphs.recorder.recorded) == 6


def test_other_settings_of_the_device_need_another_recording() -> None:
    graphs = recorded()
    graphs.recorder.precision = "tf32"
    assert replays(graphs, lambda: graphs(images())) == 0
    graphs.recorder.precision = "ieee"
    assert replays(graphs, lambda: graphs(images())) == 1


def test_a_copy_in_double_precision_is_exact_and_never_replayed() -> None:
    model = Padded(net(), recorder=Tape())
    for _ in range(EAGER + 1):
        model(images())
    precise = in_double(model)
    for _ in range(EAGER + 1):
        assert torch.equal(precise(images().double()), in_double(net())(images().double()))
    assert len(model.graphs.recorder.recorded) == 1


def test_a_copy_has_weights_of_its_own() -> None:
    model = Padded(net(), recorder=Tape())
    other = copy.deepcopy(model)
    assert other.graphs.net is other.net
    changed_in_place(other.net)
    assert not torch.equal(other(images()), model(images()))


def test_recordings_go_with_their_net() -> None:
    graphs = recorded()
    results, own = graphs.recorder.recorded, weakref.ref(graphs.net)
    del graphs
    gc.collect()
    assert own() is None
    assert [result() for result in results] == [None] * 3


def test_a_result_that_is_in_use_outlives_its_net() -> None:
    graphs, leaf = recorded(), images().requires_grad_()
    total = graphs(leaf).square().sum()
    del graphs
    gc.collect()
    own = images().requires_grad_()
    (expected,) = torch.autograd.grad(net()(own).square().sum(), own)
    assert torch.equal(torch.autograd.grad(total, leaf)[0], expected)


def test_nothing_is_logged_where_replays_are_exact(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        recorded()
    assert caplog.records == []

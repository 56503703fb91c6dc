from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.ops.losses import margin
from invspec.search.search import Search


class Threshold(nn.Module):
    """Predicts class 1 for a pixel above 0.5; records the number of images of each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        rising = x.flatten(1)[:, :1] - 0.5
        return torch.cat([-rising, rising], dim=1)


def batch_of(*pixels: float) -> Batch:
    x = torch.tensor(pixels).view(-1, 1, 1, 1)
    return Batch(x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)))


def images(*pixels: float) -> Tensor:
    return batch_of(*pixels).x


def counts(result: Perturbed) -> tuple[list[int], list[int]]:
    return result.forwards.tolist(), result.backwards.tolist()


def test_a_search_without_passes_costs_nothing_and_returns_x() -> None:
    batch = batch_of(0.1, 0.2)
    result = Search(Threshold(), batch).result()
    assert torch.equal(result.x_adv, batch.x)
    assert counts(result) == ([0, 0], [0, 0])


def test_every_kind_of_pass_is_counted() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    search.logits(search.x)
    search.gradient(margin, search.x)
    search.logits_and_gradient(margin, search.x)
    search.evaluate(margin, search.x)
    search.evaluate(margin, search.x, gradient=False)
    leaf = search.x.clone().requires_grad_()
    gap = margin(search.forward(leaf), search.y)
    search.backward(gap, leaf, keep_graph=True)
    search.backward(gap, leaf)
    assert counts(search.result()) == ([6, 6], [5, 5])


def test_several_images_of_each_example_are_as_many_passes() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    search.logits(search.x.repeat_interleave(3, dim=0))
    assert counts(search.result()) == ([3, 3], [0, 0])


def test_an_evaluation_has_logits_value_and_gradient() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    logits, value, gradient = search.evaluate(margin, search.x)
    assert torch.equal(logits, Threshold()(search.x))
    assert torch.equal(value, margin(logits, search.y))
    assert torch.equal(gradient, torch.full_like(search.x, 2.0))
    assert not logits.requires_grad
    assert not value.requires_grad


def test_without_its_gradient_an_evaluation_has_none_of_its_own() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    assert not search.evaluate(margin, search.x, gradient=False).gradient.any()


def test_examples_that_leave_keep_their_image_and_cost_no_more_passes() -> None:
    model = Threshold()
    search = Search(model, batch_of(0.1, 0.2, 0.3))
    search.logits(search.x)
    stay = search.narrow(torch.tensor([True, False, True]), images(1.0, 2.0, 3.0))
    assert stay is not None
    assert stay.tolist() == search.rows.tolist() == [0, 2]
    assert torch.equal(search.x, images(0.1, 0.3))
    search.gradient(margin, search.x)
    result = search.result(images(4.0, 5.0))
    assert torch.equal(result.x_adv, images(4.0, 2.0, 5.0))
    assert counts(result) == ([2, 1, 2], [1, 0, 1])
    assert model.sizes == [3, 2]


def test_rows_are_positions_in_the_batch_after_every_narrowing() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2, 0.3, 0.4))
    search.narrow(torch.tensor([False, True, True, True]))
    search.narrow(torch.tensor([True, False, True]))
    assert search.rows.tolist() == [1, 3]
    assert len(search) == len(search.active) == 2
    assert torch.equal(search.active.x, search.x)
    assert torch.equal(search.pick(torch.arange(4)), torch.tensor([1, 3]))


def test_nothing_happens_when_nobody_leaves() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    assert search.narrow(torch.tensor([True, True])) is None
    assert len(search) == 2


def test_all_examples_may_leave() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    search.narrow(torch.tensor([False, False]), images(1.0, 2.0))
    assert len(search) == 0
    assert torch.equal(search.result().x_adv, images(1.0, 2.0))


def test_the_image_of_largest_score_is_kept_the_first_of_equal_ones() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2, 0.3))
    search.offer(images(1.0, 2.0, 3.0), torch.tensor([0.0, 5.0, -torch.inf]))
    search.offer(images(4.0, 5.0, 6.0), torch.tensor([0.0, 6.0, torch.nan]))
    assert torch.equal(search.score, torch.tensor([0.0, 6.0, -torch.inf]))
    assert torch.equal(search.result().x_adv, images(1.0, 5.0, 0.3))


def test_images_outside_among_are_not_kept() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    search.offer(images(1.0, 2.0), torch.zeros(2), among=torch.tensor([False, True]))
    assert torch.equal(search.x_adv, images(0.1, 2.0))


def test_the_best_images_follow_the_active_examples() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2, 0.3))
    search.offer(images(1.0, 2.0, 3.0), torch.tensor([1.0, 2.0, 3.0]))
    search.narrow(torch.tensor([False, True, True]))
    search.offer(images(4.0, 5.0), torch.tensor([9.0, 0.0]))
    assert torch.equal(search.result().x_adv, images(1.0, 4.0, 3.0))


def test_judging_lets_misclassified_examples_leave_with_their_image() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2))
    stay = search.judge(margin, images(0.9, 0.4))
    assert stay is not None
    assert stay.tolist() == [1]
    search.judge(margin, images(0.3))
    result = search.result()
    assert torch.equal(result.x_adv, images(0.9, 0.4))
    assert counts(result) == ([1, 2], [0, 0])


def test_passes_of_an_inner_attack_are_added_for_the_active_examples() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2, 0.3))
    search.logits(search.x)
    search.narrow(torch.tensor([True, False, True]))
    inner = Perturbed(search.x, torch.tensor([10, 20]), torch.tensor([1, 2]))
    search.include(inner)
    assert counts(search.result()) == ([11, 1, 21], [1, 0, 2])


def test_an_inner_search_is_merged_with_its_passes_leavers_and_best_images() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2, 0.3, 0.4))
    search.narrow(torch.tensor([False, True, True, True]))
    search.offer(images(1.0, 2.0, 3.0), torch.tensor([0.0, 0.0, 0.0]))
    run = Search(search.model, search.active)
    run.logits(run.x)
    run.narrow(torch.tensor([False, True, True]), images(7.0, 7.0, 7.0))
    run.logits(run.x)
    run.offer(images(8.0, 9.0), torch.tensor([1.0, -1.0]))
    search.merge(run)
    assert search.rows.tolist() == [2, 3]
    result = search.result()
    assert torch.equal(result.x_adv, images(0.1, 7.0, 8.0, 3.0))
    assert counts(result) == ([0, 1, 2, 2], [0, 0, 0, 0])


def test_passes_may_be_counted_for_some_of_the_active_examples() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2, 0.3))
    search.narrow(torch.tensor([False, True, True]))
    search.passed(forwards=2, backwards=1, positions=torch.tensor([1]))
    assert counts(search.result()) == ([0, 0, 2], [0, 0, 1])


def test_the_predicted_label_replaces_that_of_the_batch_at_one_forward_pass() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.9), label="predicted")
    assert search.y.tolist() == [0, 1]
    assert counts(search.result()) == ([1, 1], [0, 0])


def test_a_path_repeats_the_last_image_of_examples_that_have_left() -> None:
    search = Search(Threshold(), batch_of(0.1, 0.2), vertices=4)
    search.vertex(images(0.3, 0.4))
    search.narrow(torch.tensor([True, False]), images(0.3, 0.4))
    search.vertex(images(0.5))
    result = search.result(images(0.5))
    assert result.path is not None
    expected = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.4], [0.5, 0.4]]
    torch.testing.assert_close(result.path.flatten(1), torch.tensor(expected))


def test_a_path_without_steps_stays_at_x() -> None:
    result = Search(Threshold(), batch_of(0.1), vertices=2).result()
    assert result.path is not None
    torch.testing.assert_close(result.path.flatten(), torch.tensor([0.1, 0.1]))


def test_without_vertices_no_path_is_kept() -> None:
    search = Search(Threshold(), batch_of(0.1))
    search.vertex(images(0.3))
    assert search.result().path is None


@pytest.mark.parametrize("leave", [False, True])
def test_the_batch_itself_is_not_changed(leave: bool) -> None:
    batch = batch_of(0.1, 0.2)
    search = Search(Threshold(), batch)
    search.offer(images(1.0, 2.0), torch.zeros(2))
    search.narrow(torch.tensor([leave, True]))
    search.result()
    assert torch.equal(batch.x, images(0.1, 0.2))


class Wavering(nn.Module):
    """Logits whose slope is 1, 2, 3 and so on from pass to pass."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        rising = self.passes * x.flatten(1)[:, :1]
        return torch.cat([-rising, rising], dim=1)


def test_several_passes_give_their_mean() -> None:
    batch = batch_of(0.1, 0.2)
    # the mean slope of three passes is 2, and the margin of class 1 over 0 has twice that slope
    expected = torch.full((2, 1, 1, 1), 4.0)
    assert Search(Wavering(), batch, eot=3).gradient(margin, batch.x).equal(expected)
    assert Search(Wavering(), batch, eot=3).logits_and_gradient(margin, batch.x)[1].equal(expected)
    evaluation = Search(Wavering(), batch, eot=3).evaluate(margin, batch.x)
    assert evaluation.gradient.equal(expected)
    torch.testing.assert_close(evaluation.value, torch.tensor([0.4, 0.8]))
    for logits in (evaluation.logits, Search(Wavering(), batch, eot=3).logits(batch.x)):
        torch.testing.assert_close(logits[:, 1], torch.tensor([0.2, 0.4]))


def test_each_of_several_passes_is_counted() -> None:
    search = Search(Wavering(), batch_of(0.1, 0.2), eot=5)
    search.logits(search.x)
    search.gradient(margin, search.x)
    search.logits_and_gradient(margin, search.x)
    search.evaluate(margin, search.x)
    search.evaluate(margin, search.x, gradient=False)
    assert counts(search.result()) == ([25, 25], [15, 15])


def test_a_single_pass_keeps_its_bits() -> None:
    batch = batch_of(0.1, 0.3)
    for eot in (None, 1):
        search = Search(Threshold(), batch, eot=eot)
        assert search.logits(batch.x).equal(Threshold()(batch.x))
        assert counts(search.result()) == ([1, 1], [0, 0])

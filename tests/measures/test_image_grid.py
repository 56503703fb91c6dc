"""Which pairs are shown, where, and what stands below them."""

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import index, shown

from invspec.data import rows_of
from invspec.errors import InvspecError
from invspec.measures.image_grid import ImageGrid, ImageTriples
from invspec.scoring.pictures import Shown

MODEL = FirstPixels(3)
IMAGES = torch.eye(3).repeat(2, 1).view(6, 1, 1, 3) * torch.tensor([0.5, 0.9]).repeat_interleave(
    3
).view(6, 1, 1, 1)
Y = torch.tensor([0, 1, 2, 0, 1, 2])  # what the model says too
ALL = [(s, t) for s in range(6) for t in (3, 4, 5) if Y[s] != Y[t]]


def numbered(pairs):
    """A final image for each pair, which tells its number: pixel 0 of it is number / 100."""
    x_adv = torch.zeros(len(pairs), 1, 1, 3)
    x_adv[:, 0, 0, 0] = torch.arange(len(pairs)) / 100
    return x_adv


def numbers(images):
    return (images[..., 0, 0, 0] * 100).round()


def examples(pairs=ALL, x_adv=None, y=Y):
    return of_pairs(MODEL, IMAGES, y, pairs, numbered(pairs) if x_adv is None else x_adv)


def confidence(image, label):
    return MODEL(image[None]).softmax(1)[0, label].item()


def grid(of=None, **fields):
    return ImageGrid(**fields).score(MODEL, of or examples())


# ─ the grid ───────────────────────────────────────────────────────────────────────────────────


def test_rows_are_target_classes_columns_source_classes_and_the_diagonal_targets():
    found = grid().tensors
    assert found["images"].shape == (3, 3, 1, 1, 3)
    assert found["frames"].tolist() == torch.eye(3).bool().tolist()
    for k in range(3):
        torch.testing.assert_close(found["images"][k, k], IMAGES[k + 3])
    pairs = {place: number for number, place in enumerate(ALL)}
    for s in range(3):
        for t in {0, 1, 2} - {s}:
            assert numbers(found["images"])[t, s] == pairs[s, t + 3]


def test_captions_are_the_confidence_in_the_label_of_the_source():
    found = grid().tensors
    for row in range(3):
        for column in range(3):
            expected = confidence(found["images"][row, column], column)
            assert found["captions"][row, column].item() == pytest.approx(expected, rel=1e-6)


def test_the_number_is_the_mean_confidence_of_the_final_images_that_are_shown():
    score = grid()
    (row,) = shown(score)
    off = score.tensors["captions"][~torch.eye(3).bool()]
    assert row.value == pytest.approx(off.mean().item(), rel=1e-6)
    assert (row.n, index(score).tolist()) == (3, [0, 1, 2])
    assert row.low <= row.value <= row.high


def test_the_first_source_with_the_most_target_classes_is_shown():
    pairs = [(0, 4), (0, 1), (3, 4), (3, 5), (1, 3), (2, 3)]
    found = grid(examples(pairs)).tensors
    assert numbers(found["images"])[1:, 0].tolist() == [2, 3]
    assert numbers(found["images"])[0, 1:].tolist() == [4, 5]
    for row, column in ((2, 1), (1, 2)):  # to which nobody was sent
        assert found["images"][row, column].isnan().all()
        assert found["captions"][row, column].isnan()


def test_a_misclassified_source_is_shown_only_if_all_are_eligible():
    y = torch.tensor([1, 1, 2, 0, 1, 2])  # the model says 0 of the first
    pairs = [(0, 3), (0, 5), (1, 3), (2, 3)]
    correct, every = (
        grid(examples(pairs, y=y)).tensors,
        grid(examples(pairs, y=y), eligible="all").tensors,
    )
    assert numbers(correct["images"])[0, 1] == 2
    assert numbers(every["images"])[[0, 2], 1].tolist() == [0, 1]
    shown = every["images"][0, 1]
    assert every["captions"][0, 1].item() == pytest.approx(
        confidence(shown, 0)
    )  # in the label that the attack keeps


def test_only_the_first_classes_are_shown():
    found = grid(classes=2).tensors
    assert found["images"].shape[:2] == found["captions"].shape == found["frames"].shape == (2, 2)
    with pytest.raises(InvspecError, match="no eligible pair has both classes among the first 2"):
        grid(examples([(0, 5), (2, 3)]), classes=2)


def test_nothing_is_read_beyond_the_last_image_shown(monkeypatch):
    monkeypatch.setattr("invspec.scoring.pictures.BATCH_SIZE", 2)
    read = []

    class Counted(dict):
        def rows(self, name, start, stop):
            read.append((start, stop))
            return self[name][start:stop]

    one = examples()
    one = type(one)(one.clean, one.judged, Counted(one.tensors), one.settings)
    found = Shown.read(one, torch.tensor([1, 4]))
    assert read == [(0, 2), (2, 4), (4, 6)]
    assert numbers(found.x_adv).flatten().tolist() == [1, 4]
    torch.testing.assert_close(found.x, IMAGES[[ALL[1][0], ALL[4][0]]])
    torch.testing.assert_close(found.x_target, IMAGES[[ALL[1][1], ALL[4][1]]])
    torch.testing.assert_close(rows_of(one.tensors, "x_adv", 4, 5), found.x_adv[1:])


# ─ triples ────────────────────────────────────────────────────────────────────────────────────


def triples(of=None, **fields):
    return ImageTriples(**fields).score(MODEL, of or examples())


def test_each_triple_has_a_source_of_its_own_and_targets_take_turns():
    found = triples(count=3).tensors
    assert found["images"].shape == (3, 3, 1, 1, 3)
    torch.testing.assert_close(found["images"][:, 0], IMAGES[:3])
    assert numbers(found["images"])[:, 2].tolist() == [
        0,
        3,
        4,
    ]  # the first target, the second, the first again
    torch.testing.assert_close(found["images"][:, 1], IMAGES[[ALL[row][1] for row in (0, 3, 4)]])
    assert found["frames"].tolist() == [[True, False, False]] * 3


def test_there_is_a_row_for_each_column_with_its_mean_confidence():
    score = triples(count=3)
    assert [row.where["image"] for row in shown(score)] == ["source", "target", "result"]
    for column, row in enumerate(shown(score)):
        assert row.value == pytest.approx(
            score.tensors["captions"][:, column].mean().item(), rel=1e-6
        )
        assert row.n == 3
    for place, label in enumerate((0, 1, 2)):
        for column in range(3):
            expected = confidence(score.tensors["images"][place, column], label)
            assert score.tensors["captions"][place, column].item() == pytest.approx(
                expected, rel=1e-6
            )


def test_results_beyond_the_bounds_are_shown_clamped_too():
    beyond = numbered(ALL)
    beyond[:, 0, 0, 1] = 1.5
    score = triples(examples(x_adv=beyond), count=2)
    assert [row.where["image"] for row in shown(score)] == ["source", "target", "result", "clamped"]
    images, captions = score.tensors["images"], score.tensors["captions"]
    assert (images[:, 2].amax().item(), images[:, 3].amax().item()) == (1.5, 1.0)
    assert captions[0, 3].item() == pytest.approx(confidence(images[0, 3], 0), rel=1e-6)
    assert captions[0, 3] > captions[0, 2]  # class 1 lost what was clamped


def test_all_sources_are_shown_if_there_are_few():
    assert triples(count=50).tensors["images"].shape[0] == 6

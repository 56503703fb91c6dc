"""Keys of tasks, and the artifacts of each kind of task."""

import dataclasses
import itertools
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shown import shown
from torch import nn
from torch.nn import functional as F
from workbench import FAKE, Memory, perturb, score, toys, train

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.data import JUDGED, Perturbed, Scored
from invspec.datasets.fake import Fake
from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.kinds import Measure, Sample
from invspec.measures.accuracy import Accuracy
from invspec.models.linear import Linear
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import Stream
from invspec.perform import attack, proxies
from invspec.perform.dispatch import perform
from invspec.perform.proxies import searched
from invspec.perform.runtime import Artifact
from invspec.perform.samples import chosen, read_split
from invspec.perform.score import examples
from invspec.perform.train import fresh
from invspec.plan.sizes import size
from invspec.scoring.rows import exact
from invspec.sources import source_of
from invspec.tasks import (
    MACHINERY,
    Perturb,
    Score,
    canonical,
    draw_name,
    forget,
    key,
    label,
    needs,
    verb,
)


@pytest.fixture(autouse=True)
def one_thread():
    """As the machinery does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ─ keys ───────────────────────────────────────────────────────────────────────────────

OTHER = {
    "train": {
        "dataset": Fake(),
        "model": StdCNN(),
        "defence": Standard(lr=0.2),
        "seed": 1,
        "threads": 2,
        "against": train(seed=1),
        "features": train(seed=1),
    },
    "perturb": {
        "train": train(seed=1),
        "attack": toys.Shift(by=0.5),
        "sample": Sample(limit=3),
        "part": (0, 10),
        "precision": "bfloat16",
        "after": perturb(toys.Shift(by=0.125)),
        "source": perturb(toys.Shift(), train(seed=1)),
        "generator": train(seed=1),
        "before": toys.Shift(by=0.25),
    },
    "score": {
        "measure": Accuracy(clean=True),
        "of": ((perturb(Identity()),),),
        "oracle": train(seed=1),
        "worst_of": 2,
        "correct_in": ((perturb(toys.Shift()),),),
    },
}
TASKS = {"train": train(), "perturb": perturb(toys.Shift()), "score": score(perturb(toys.Shift()))}


@pytest.mark.parametrize(
    ("task", "field"), [(task, field) for task, fields in OTHER.items() for field in fields]
)
def test_every_field_changes_the_key(task, field):
    assert {item.name for item in dataclasses.fields(TASKS[task])} == set(OTHER[task])
    assert key(dataclasses.replace(TASKS[task], **{field: OTHER[task][field]})) != key(TASKS[task])


shifts = st.builds(toys.Shift, by=st.floats(0, 1))
climbs = st.builds(PGD, eps=st.floats(0, 1), steps=st.integers(1, 99), restarts=st.integers(1, 3))
trainings = st.builds(
    train,
    seed=st.integers(0, 99),
    defence=st.builds(Standard, epochs=st.integers(1, 9)),
    threads=st.integers(1, 3),
)
samples = st.builds(
    Sample, split=st.sampled_from(["train", "val", "test"]), limit=st.none() | st.integers(1, 9)
)
parts = st.tuples(st.integers(0, 3), st.integers(4, 9))
precisions = st.sampled_from(["float32", "bfloat16"])
befores = st.none() | st.builds(Perturb, trainings, shifts, samples, parts)
attacked = st.builds(Perturb, trainings, shifts | climbs, samples, parts, precisions, befores)
any_task = (
    trainings
    | attacked
    | st.builds(Score, st.builds(Accuracy, clean=st.booleans()), st.tuples(st.tuples(attacked)))
)


@given(any_task, any_task)
def test_two_tasks_share_a_key_exactly_when_they_are_equal(first, second):
    assert (key(first) == key(second)) == (first == second)


@given(any_task)
def test_the_hashed_text_is_readable_and_holds_nested_tasks_as_their_keys(task):
    body = json.loads(canonical(task))
    assert body.pop("task") == type(task).__name__
    assert body.pop("machinery") == MACHINERY[verb(task)]
    named = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    defaults = {name for name in ("threads", "worst_of") if named.get(name) == 1}
    given = {name for name, value in named.items() if value is not None}
    assert set(body) == given - defaults
    assert all(
        key(need) in canonical(task) for need in (needs(task) if isinstance(task, Perturb) else ())
    )
    assert len(key(task)) == 40
    assert int(key(task), 16) >= 0


def test_threads_change_a_key_but_no_draw():
    assert key(train(threads=1)) == key(train())
    assert '"threads": 2' in canonical(train(threads=2))
    shared = [perturb(toys.Shift(), train(threads=threads)) for threads in (1, 2)]
    assert key(shared[0]) != key(shared[1])
    for one, two in ((train(), train(threads=2)), shared, map(score, shared)):
        assert draw_name(one) == draw_name(two)


def test_a_nested_task_is_its_key():
    shift = perturb(toys.Shift())
    assert json.loads(canonical(shift))["train"] == key(train())
    assert json.loads(canonical(score(shift)))["of"] == [[key(shift)]]


def test_defaults_are_in_the_key_and_names_are_not():
    text = canonical(perturb(toys.Shift()))
    attack = json.loads(text)["attack"]
    assert attack.pop("source") == source_of(toys.Shift)["source"]
    assert attack == {
        "class": "attack:Shift",
        "version": 1,
        "fields": {"by": 0.25},
        "module": "toy_methods",
    }
    assert "device" not in text
    assert "batch_size" not in json.loads(text)


def test_raising_the_version_of_a_method_changes_the_key(monkeypatch):
    before = key(perturb(toys.Shift()))
    monkeypatch.setattr(toys.Shift, "version", 2)
    forget_keys()
    try:
        assert key(perturb(toys.Shift())) != before
    finally:
        forget_keys()


def forget_keys():
    """Compute keys, and the texts of methods in them, anew."""
    forget()


def test_a_task_needs_what_its_fields_hold():
    first, second = perturb(toys.Shift()), perturb(Identity())
    assert needs(train()) == ()
    assert needs(first) == (train(),)
    assert needs(score(first, second)) == (train(), first, second)
    assert score(first).train == train()


def test_tasks_describe_themselves_in_a_few_words():
    assert [verb(task) for task in TASKS.values()] == ["train", "perturb", "score"]
    assert [label(task) for task in TASKS.values()] == [
        "train Linear · Standard · seed 0",
        "Shift 0-20 on Linear · Standard · seed 0",
        "Accuracy on Linear · Standard · seed 0",
    ]


# ─ training ───────────────────────────────────────────────────────────────────────────


def test_initial_weights_depend_on_the_task_alone():
    torch.manual_seed(1)
    first = fresh(train()).state_dict()
    after = torch.rand(1)
    torch.manual_seed(2)
    second = fresh(train()).state_dict()
    torch.manual_seed(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["1.weight"], fresh(train(seed=1)).state_dict()["1.weight"])
    assert torch.equal(torch.rand(1), after)  # torch's own generator was left alone


def test_training_leaves_weights_that_fit_the_data():
    task = train(defence=Standard(epochs=20, batch_size=8, lr=0.1))
    runtime = Memory()
    net = fresh(task)
    net.load_state_dict(dict(runtime.load(task).tensors))
    (batch,) = read_split(FAKE, "train").batches(24)
    assert (net(batch.x).argmax(1) == batch.y).all()
    assert runtime.load(task).rows is None


def test_training_twice_gives_the_same_weights():
    first, second = (perform(train(), Memory()).tensors for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_with_weights_that_are_not_finite_fails():
    class Poisons(Standard):
        def train(self, model, data, rng, journal):
            nn.init.constant_(model.get_submodule("1").bias, math.inf)
            return {}

    with pytest.raises(InvspecError, match=r"weights that are not finite \(1.bias\)"):
        perform(train(defence=Poisons()), Memory())


def test_tied_weights_do_not_share_memory():
    tensors = perform(train(model=toys.Tied()), Memory()).tensors
    assert torch.equal(tensors["first.weight"], tensors["second.weight"])
    assert len({tensor.data_ptr() for tensor in tensors.values()}) == len(tensors)


# ─ perturbing ─────────────────────────────────────────────────────────────────────────


def test_judged_columns_of_a_known_attack():
    runtime, task = Memory(), perturb(toys.Shift(by=0.25))
    result = runtime.load(task).tensors
    net = fresh(task.train)
    net.load_state_dict(dict(runtime.load(task.train).tensors))
    (batch,) = read_split(FAKE, "test").batches(20)
    x_adv = (batch.x + 0.25).clamp(0, 1)
    clean, attacked = F.softmax(net(batch.x), 1).max(1), F.softmax(net(x_adv), 1).max(1)

    assert tuple(result) == (*JUDGED, "x_adv")
    assert torch.equal(result["x_adv"], x_adv)
    assert result["index"].tolist() == list(range(20))
    assert torch.equal(result["y"], batch.y)
    assert torch.equal(result["prediction"], clean.indices)
    assert torch.equal(result["prediction_adv"], attacked.indices)
    torch.testing.assert_close(result["confidence"], clean.values)
    torch.testing.assert_close(result["confidence_adv"], attacked.values)
    torch.testing.assert_close(result["linf"], (x_adv - batch.x).abs().flatten(1).max(1).values)
    torch.testing.assert_close(result["l2"], (x_adv - batch.x).flatten(1).pow(2).sum(1).sqrt())
    assert (result["forwards"].unique().tolist(), result["backwards"].unique().tolist()) == (
        [3],
        [2],
    )
    for name in ("x_adv", "confidence", "confidence_adv", "linf", "l2"):
        assert result[name].dtype == torch.float32


def test_examples_are_the_first_axis_of_a_path():
    result = Memory(batch_size=6).load(perturb(toys.Ascent(steps=4, keep_path=True))).tensors
    assert result["path"].shape == (20, 5, 1, 4, 4)
    assert torch.equal(result["path"][:, -1], result["x_adv"])
    assert result["path"].is_contiguous()


def test_progress_counts_examples():
    runtime = Memory(batch_size=8)
    runtime.load(perturb(toys.Shift()))
    assert runtime.told == [(8, 20), (16, 20), (20, 20)]


@pytest.mark.bits
@pytest.mark.parametrize(
    "attack", [toys.Ascent(), toys.Noise(), PGD(steps=5, eps=0.1)], ids=lambda a: type(a).__name__
)
@pytest.mark.parametrize("model", [Linear(), toys.Tied()], ids=lambda m: type(m).__name__)
def test_parts_and_batch_sizes_change_no_bit(attack, model):
    trained = train(model=model)
    full = Memory(batch_size=20).load(perturb(attack, trained)).tensors
    for cuts, batch_size in (((0, 7, 20), 3), ((0, 1, 16, 20), 8), ((0, 20), 1)):
        runtime = Memory(batch_size)
        cut = [
            runtime.load(perturb(attack, trained, part)).tensors
            for part in itertools.pairwise(cuts)
        ]
        for name in full:
            assert torch.equal(torch.cat([tensors[name] for tensors in cut]), full[name]), name


def test_other_tasks_have_other_draws_unless_they_are_named():
    def noise(common, seed):
        return Memory().load(perturb(toys.Noise(common=common), train(seed=seed))).tensors["x_adv"]

    assert not torch.equal(noise(False, 0), noise(False, 1))
    assert torch.equal(noise(True, 0), noise(True, 1))


@pytest.mark.parametrize("batch_size", [20, 13, 4])
def test_an_attack_that_runs_out_of_memory_is_halved_to_the_same_result(batch_size):
    roomy = Memory().load(perturb(toys.Greedy(most=100))).tensors
    runtime = Memory(batch_size)
    cramped = runtime.load(perturb(toys.Greedy(most=3))).tensors
    assert all(torch.equal(roomy[name], cramped[name]) for name in roomy)
    assert runtime.told[-1] == (20, 20)


def test_one_example_that_is_too_large_is_an_error():
    with pytest.raises(InvspecError, match="one example does not fit"):
        Memory().load(perturb(toys.Greedy(most=0)))


def test_pixels_that_are_not_finite_are_an_error():
    with pytest.raises(InvspecError, match="pixels that are not finite"):
        Memory().load(perturb(toys.Breaks(how="nan")))


def test_an_attack_that_changes_the_shape_is_an_error():
    with pytest.raises(
        InvspecError, match=r"float32 \(8, 1, 3, 4\), expected float32 \(8, 1, 4, 4\)"
    ):
        Memory().load(perturb(toys.Breaks(how="shape")))


# ─ precision ──────────────────────────────────────────────────────────────────────────


def test_no_training_leaves_its_precision_open():
    with pytest.raises(AssertionError, match="a plan chooses the precision"):
        train(defence=Standard(precision="auto"))


def test_a_search_in_bfloat16_is_judged_in_float32():
    runtime = Memory()
    low = runtime.load(perturb(toys.Ascent(steps=3), precision="bfloat16")).tensors
    high = runtime.load(perturb(toys.Ascent(steps=3))).tensors
    assert not torch.equal(low["x_adv"], high["x_adv"])
    torch.testing.assert_close(
        low["x_adv"], high["x_adv"], rtol=0, atol=0.02
    )  # three steps of 2**-8 relative error

    net = fresh(train())
    net.load_state_dict(dict(runtime.load(train()).tensors))
    confidence, prediction = F.softmax(net(low["x_adv"]), 1).max(1)
    torch.testing.assert_close(
        low["confidence_adv"], confidence, rtol=0, atol=1e-6
    )  # bfloat16 would be 1e-3 off
    assert torch.equal(low["prediction_adv"], prediction)
    assert low["x_adv"].dtype == torch.float32


def test_proxies_offer_what_their_net_offers():
    net = toys.Tied().deploy(toys.TiedNet(16, 3))
    padded = proxies.Padded(net)
    for precision in ("float32", "bfloat16"):
        face = searched(padded, precision)
        assert torch.equal(face.pixel_std, torch.tensor([0.3]))  # in bfloat16 it would be 0.30078
        with pytest.raises(AttributeError, match="no_such"):
            _ = face.no_such


def test_a_standardised_attack_runs_in_bfloat16():
    attack = PGD(steps=2, eps=0.1, eps_space="standardised")
    result = Memory().load(perturb(attack, train(model=toys.Tied()), precision="bfloat16")).tensors
    assert 0 < result["linf"].max() <= 0.1 * 0.3 + 1e-6


@pytest.mark.bits
@pytest.mark.parametrize("n", [1, 7, 8, 15, 16])
def test_padding_changes_neither_logits_nor_gradients(n):
    net = toys.Tied().deploy(toys.TiedNet(16, 3))
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 1, 4, 4, generator=generator)
    full = torch.cat([x, torch.rand(48 - n, 1, 4, 4, generator=generator)])

    def gradient(model, images):
        images = images.clone().requires_grad_()
        logits = model(images)
        return logits.detach(), torch.autograd.grad(logits.logsumexp(1).sum(), images)[0]

    logits, slope = gradient(proxies.Padded(net), x)
    expected, expected_slope = gradient(net, full)
    assert torch.equal(logits, expected[:n])
    assert torch.equal(slope, expected_slope[:n])
    torch.testing.assert_close(
        slope, gradient(net, x)[1]
    )  # the last, repeated example gets no gradient twice


def test_encode_and_decode_are_padded_with_positional_and_keyword_arguments():
    class Halves(nn.Module):
        def encode(self, x):
            assert len(x) % proxies.BLOCK == 0
            return x.flatten(1).chunk(2, dim=1)

        def decode(self, semantic, nuisance):
            assert len(semantic) == len(nuisance) == proxies.BLOCK
            return torch.cat([semantic, nuisance], dim=1).view(-1, 1, 2, 2)

    net, x = proxies.Padded(Halves()), torch.rand(5, 1, 2, 2)
    semantic, nuisance = net.encode(x=x)
    assert torch.equal(net.decode(semantic, nuisance), x)
    assert torch.equal(net.decode(nuisance=nuisance, semantic=semantic), x)
    assert torch.equal(net.decode(semantic, nuisance=nuisance), x)


# ─ samples ────────────────────────────────────────────────────────────────────────────


def test_a_limit_takes_the_first_examples():
    assert chosen(FAKE, Sample(limit=5)).labels().tolist() == [0, 1, 2, 0, 1]
    assert len(chosen(FAKE, Sample(split="train"))) == 24


def test_per_class_takes_the_first_of_each_class_in_the_order_of_the_split():
    result = chosen(FAKE, Sample(per_class=2))
    (batch,) = result.batches(20)
    assert batch.index.tolist() == [0, 1, 2, 3, 4, 5]
    uneven = chosen(toys.Uneven(), Sample(per_class=4))
    assert [int((uneven.labels() == k).sum()) for k in (0, 1)] == [3, 4]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (Sample(), 20),
        (Sample(split="train"), 24),
        (Sample(limit=7), 7),
        (Sample(limit=99), 20),
        (Sample(per_class=2), 6),
        (Sample(per_class=99), 20),
    ],
)
def test_size_is_known_without_loading(sample, expected):
    assert size(FAKE, sample) == expected == len(chosen(FAKE, sample))


def test_a_part_beyond_a_class_with_few_examples_is_empty_and_harmless():
    sample, trained = Sample(per_class=5), train(dataset=toys.Uneven(), model=toys.Tied())
    assert size(toys.Uneven(), sample) == 10
    runtime = Memory()
    full = perturb(toys.Ascent(keep_path=True), trained, (0, 10), sample=sample)
    cut = tuple(dataclasses.replace(full, part=part) for part in ((0, 5), (5, 8), (8, 10)))
    nothing = runtime.load(cut[2]).tensors
    assert {name: len(tensor) for name, tensor in nothing.items()} == dict.fromkeys(
        (*JUDGED, "x_adv"), 0
    )
    joined, expected = examples(cut, runtime), examples((full,), runtime)
    assert all(
        torch.equal(joined.tensors[name], expected.tensors[name]) for name in expected.tensors
    )


# ─ scoring ────────────────────────────────────────────────────────────────────────────


def rows_of(artifact):
    assert artifact.rows is not None
    return shown(artifact.rows)


def test_a_score_reads_the_parts_of_an_attack_as_one():
    runtime = Memory()
    cut = tuple(perturb(toys.Shift(), part=part) for part in ((0, 8), (8, 20)))
    result = runtime.load(Score(Accuracy(), (cut,)))
    full = runtime.load(score(perturb(toys.Shift())))
    (row,) = rows_of(result)
    assert result.rows == full.rows
    assert row.n == 20
    prediction, y = (
        runtime.load(perturb(toys.Shift())).tensors[name] for name in ("prediction_adv", "y")
    )
    assert row.value == pytest.approx((prediction == y).double().mean().item())


def test_a_measure_may_take_two_attacks():
    result = Memory().load(
        score(perturb(toys.Shift(by=0)), perturb(toys.Shift(by=1)), measure=toys.Gap())
    )
    (row,) = rows_of(result)
    (batch,) = read_split(FAKE, "test").batches(20)
    assert row.value == pytest.approx((1 - batch.x).mean().item(), abs=1e-6)


def test_tensors_of_a_score_do_not_share_memory():
    class Views(Measure):
        def score(self, model, *examples):
            values = torch.arange(4.0)
            return Scored(
                [exact(0, 4)],
                {"all": values, "first": values[:2], "turned": values.view(2, 2).T},
            )

    tensors = perform(score(perturb(Identity()), measure=Views()), Memory()).tensors
    assert len({tensor.data_ptr() for tensor in tensors.values()}) == 3
    assert all(tensor.is_contiguous() for tensor in tensors.values())


def test_examples_read_large_tensors_when_asked():
    runtime = Memory()
    result = examples(
        (perturb(toys.Shift(), part=(0, 8)), perturb(toys.Shift(), part=(8, 20))), runtime
    )
    assert (len(result.tensors), set(result.tensors)) == (11, {*JUDGED, "x_adv"})
    assert result.x_adv.shape == (20, 1, 4, 4)
    assert len(result.clean) == 20


# ─ a sweep that shares its work ───────────────────────────────────────────────────────


def growing(*radii, part=(0, 20), **fields):
    """PGD in larger and larger balls, each after the one before."""
    task = None
    for eps in radii:
        task = perturb(PGD(eps=eps, steps=3, **fields), part=part, after=task)
    return task


def test_images_fooled_in_a_smaller_ball_are_not_attacked_again():
    runtime = Memory()
    before, after = (runtime.load(growing(*radii)).tensors for radii in ((0.12,), (0.12, 0.2)))
    settled = attack.fooled(before)
    assert 0 < settled.sum() < len(settled)
    for name in ("x_adv", "prediction_adv", "confidence_adv", "linf"):
        assert torch.equal(after[name][settled], before[name][settled])
    assert (after["forwards"][settled] == 0).all()
    assert set(after["forwards"][~settled].tolist()) <= {
        3,
        6,
    }  # once, and again where that was in vain
    assert (after["linf"] <= 0.2 + 1e-6).all()


POOR = train(
    defence=Standard(epochs=1, batch_size=8, lr=1e-6)
)  # where some are misclassified from the beginning


def test_survivors_start_from_the_result_in_the_smaller_ball():
    class Stays(PGD):
        def perturb(self, model, batch, rng):
            return Perturbed.costing(
                torch.zeros_like(batch.x) if batch.start is None else batch.start, 0, 0
            )

    runtime, first = Memory(), perturb(PGD(eps=0.01, steps=3), POOR)
    before = runtime.load(first).tensors
    stayed = runtime.load(perturb(Stays(eps=1.0), POOR, after=first)).tensors
    afresh = ~attack.fooled(before) & (before["prediction"] != before["y"])
    moved = (stayed["x_adv"] != before["x_adv"]).flatten(1).any(1)
    assert 0 < afresh.sum() < len(afresh)
    assert (stayed["x_adv"][afresh] == 0).all()
    assert attack.fooled(stayed)[moved & ~afresh].all()  # of the others only who is fooled afresh


@pytest.mark.parametrize("trained", [None, POOR], ids=["accurate", "poor"])
def test_a_shared_sweep_fools_every_image_that_a_separate_run_fools(trained):
    runtime, after = Memory(), None
    for eps in (0.02, 0.05, 0.1, 0.2):
        after = perturb(PGD(eps=eps, steps=2), trained, after=after)
        alone = runtime.load(perturb(PGD(eps=eps, steps=2), trained)).tensors
        shared = runtime.load(after).tensors
        changed = [item["prediction_adv"] != item["prediction"] for item in (alone, shared)]
        assert (changed[1] >= changed[0]).all()


def test_fewer_examples_keep_their_label_in_a_larger_ball():
    runtime = Memory()
    survivors = [
        int((~attack.fooled(runtime.load(growing(*radii)).tensors)).sum())
        for radii in ((0.05,), (0.05, 0.1), (0.05, 0.1, 0.2))
    ]
    assert survivors == sorted(survivors, reverse=True)


@pytest.mark.bits
@pytest.mark.parametrize("batch_size", [3, 64])
def test_batch_size_and_parts_do_not_change_a_shared_sweep(batch_size):
    full = Memory().load(growing(0.05, 0.1, 0.2)).tensors
    other = Memory(batch_size)
    pieces = [other.load(growing(0.05, 0.1, 0.2, part=part)).tensors for part in ((0, 9), (9, 20))]
    for name in full:
        assert torch.equal(torch.cat([piece[name] for piece in pieces]), full[name])


def test_a_ball_is_not_searched_when_all_images_are_fooled():
    runtime, before = Memory(), growing(0.1)
    tensors = dict(runtime.load(before).tensors)
    tensors |= {
        name: torch.full_like(tensors[name], own)
        for name, own in {"prediction_adv": 1, "prediction": 0, "y": 0}.items()
    }
    runtime.kept[before] = Artifact(tensors)
    assert runtime.load(growing(0.1, 0.2)).tensors["forwards"].sum() == 0


def test_a_measure_gets_the_settings_of_its_attack():
    task = perturb(PGD(eps=0.1, steps=1))
    assert examples((task,), Memory()).settings["eps"] == 0.1


def test_a_training_leaves_its_curves():
    curves = perform(train(defence=Standard(epochs=3, batch_size=8, lr=0.1)), Memory()).curves or {}
    assert {name: len(numbers) for name, numbers in curves.items()} == {"loss": 3, "accuracy": 3}
    assert curves["loss"][2] < curves["loss"][0]


# ─ draws ──────────────────────────────────────────────────────────────────────────────


def test_nets_that_differ_in_their_defence_share_initial_weights_and_order():
    plain, other = train(), train(defence=Standard(epochs=3, lr=0.5))
    assert draw_name(plain) == draw_name(other)
    assert key(plain) != key(other)
    first, second = (fresh(task).state_dict() for task in (plain, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("change", [{"seed": 1}, {"model": StdCNN()}, {"dataset": Fake()}])
def test_another_data_set_model_or_seed_draws_anew(change):
    assert draw_name(train(**change)) != draw_name(train())


def test_settings_of_an_attack_share_their_noise_and_its_samples_do_not():
    weak, strong = perturb(toys.Shift(by=0.1)), perturb(toys.Shift(by=0.5))
    assert draw_name(weak) == draw_name(strong)
    sample = dataclasses.replace(weak, sample=Sample(split="train"))
    assert draw_name(sample) != draw_name(weak)
    assert draw_name(perturb(Identity())) != draw_name(weak)


def test_no_draw_depends_on_a_version_or_a_module_name(monkeypatch):
    names = [draw_name.__wrapped__(task) for task in TASKS.values()]
    monkeypatch.setattr(toys.Shift, "version", 2)
    monkeypatch.setattr(toys.Shift, "__module__", "elsewhere")
    assert [draw_name.__wrapped__(task) for task in TASKS.values()] == names
    assert not any("version" in name or "module" in name for name in names)


def test_what_a_recipe_draws_besides_changes_no_order():
    stream = Stream("key")
    before = stream.fork("order of epoch 0").permutation(50)
    stream.uniform((7,))
    assert torch.equal(stream.fork("order of epoch 0").permutation(50), before)
    assert not torch.equal(stream.fork("order of epoch 1").permutation(50), before)

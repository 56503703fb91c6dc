"""Who misreads metamers, on a bijection whose nuisance alone tells the class."""

import math
from dataclasses import replace

import torch
from columns import filled
from shown import shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.kinds import Targets
from invspec.measures.metamer_error import MetamerError, disagreements
from invspec.perform.pairs import paired

N, CPU = 40, torch.device("cpu")


class Blind(nn.Module):
    """Four pixels: the first two are the logits, the label is the sign of the third."""

    def encode(self, x):
        code = x.flatten(1)
        return code[:, :2], code[:, 2:]

    def forward(self, x):
        return self.encode(x)[0]


def metamers(bounds=(-math.inf, math.inf)):
    """Of each point one, and the oracle that reads the third pixel."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(N) % 2
    x = torch.randn(N, 4, generator=generator)
    x[:, 2] = 2.0 * y - 1
    x[:, :2] = 5 * nn.functional.one_hot(y, 2)  # the logits are right on the data
    images = TensorSplit(x.view(N, 1, 1, 4), y, bounds=bounds)
    clean = paired(images, images, Targets(each=1), 2)
    (batch,) = clean.batches(N)
    x_adv = torch.cat([batch.x[..., :2], batch.targets[..., 2:]], dim=-1)
    judged = {
        "index": batch.index,
        "y": batch.y,
        "source": clean.source,
        "y_target": batch.y_target,
    }

    def oracle(x):
        third = x.flatten(1)[:, 2]
        return torch.stack([-third, third], dim=1)

    return Examples(images, filled({"index": images.index}), {}), Examples(
        clean, filled(judged), {"x_adv": x_adv}, oracle=oracle
    )


def test_the_logits_misread_all_metamers_and_the_nuisance_none():
    measure = MetamerError(hidden=16, epochs=20, batch_size=8, lr=1e-2, validation=0)
    rows = shown(measure.score(Blind(), *metamers()))
    assert [
        (row.where["classifier"], row.where["source_class"], row.value, row.n) for row in rows
    ] == [
        ("logits", "0", 1.0, N // 2),
        ("nuisance", "0", 0.0, N // 2),
        ("logits", "1", 1.0, N // 2),
        ("nuisance", "1", 0.0, N // 2),
    ]


def test_the_oracle_alone_sees_metamers_within_the_bounds():
    _, attacked = metamers(bounds=(-0.5, 0.5))
    x_adv = attacked.tensors["x_adv"].clone()
    x_adv[..., 2] *= 3  # unclipped the oracle would take each for class 0
    asked = []

    def oracle(x):
        asked.append(x)
        return torch.stack([x.flatten(1)[:, 2].abs() - 1, torch.zeros(len(x))], dim=1)

    beyond = replace(attacked, tensors={"x_adv": x_adv}, oracle=oracle)
    found = disagreements(
        beyond,
        {"logits": Blind(), "always 1": lambda x: x.new_tensor([[0.0, 1]]).expand(len(x), 2)},
        CPU,
    )
    assert max(x.abs().max() for x in asked) == 0.5
    assert not found["always 1"].any()
    assert torch.equal(found["logits"], attacked.judged.y == 0)

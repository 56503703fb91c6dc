"""Who misreads metamers, on a bijection whose nuisance alone tells the class."""

import torch
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.kinds import Targets
from invspec.measures.metamer_error import MetamerError
from invspec.pairs import paired

N = 40


class Blind(nn.Module):
    """Four pixels: the first two are the logits, the label is the sign of the third."""

    def encode(self, x):
        code = x.flatten(1)
        return code[:, :2], code[:, 2:]

    def forward(self, x):
        return self.encode(x)[0]


def metamers():
    """Of each point one, and the oracle that reads the third pixel."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(N) % 2
    x = torch.randn(N, 4, generator=generator)
    x[:, 2] = 2.0 * y - 1
    x[:, :2] = 5 * nn.functional.one_hot(y, 2)  # the logits are right on the data
    images = TensorSplit(x.view(N, 1, 1, 4), y)
    clean = paired(images, images, Targets(each=1), 2)
    (batch,) = clean.batches(N)
    x_adv = torch.cat([batch.x[..., :2], batch.targets[..., 2:]], dim=-1)
    judged = {"index": batch.index, "y": batch.y, "source": clean.source, "y_target": batch.y_target}

    def oracle(x):
        third = x.flatten(1)[:, 2]
        return torch.stack([-third, third], dim=1)

    return Examples(images, {"index": images.index}, {}), Examples(clean, judged, {"x_adv": x_adv}, oracle=oracle)


def test_the_logits_misread_all_metamers_and_the_nuisance_none():
    measure = MetamerError(hidden=16, epochs=20, batch_size=8, lr=1e-2, validation=0)
    rows = measure.score(Blind(), *metamers()).rows
    assert [(row.where["classifier"], row.where["source_class"], row.value, row.n) for row in rows] == [
        ("logits", "0", 1.0, N // 2),
        ("nuisance", "0", 0.0, N // 2),
        ("logits", "1", 1.0, N // 2),
        ("nuisance", "1", 0.0, N // 2),
    ]

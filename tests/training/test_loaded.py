"""Defences that load weights are replaced in a smoke run."""

from __future__ import annotations

from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.defences.untrained import Untrained
from invspec.ops.draws import Stream
from invspec.training.loaded import LoadedWeights


class FromNowhere(LoadedWeights):
    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        raise AssertionError("a smoke run reads no file")


def test_a_smoke_run_reads_no_file() -> None:
    assert FromNowhere().smoke() == Untrained()

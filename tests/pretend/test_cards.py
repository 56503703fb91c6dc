"""Every card that builds without files computes on the pretend device what the CPU computes."""

from __future__ import annotations

import pytest
from attack_toys import ATTACKS
from check_toys import CHECKS
from dataset_cards import complete
from dataset_cards import made as dataset
from defence_toys import DEFENCES
from measure_toys import MEASURES
from model_toys import ELSEWHERE, LARGE
from pretend_cards import compared
from pretend_exceptions import AUTOCAST, CARDS
from pretend_process import Child

from invspec.datasets.human_invariance import HumanInvariance
from invspec.datasets.image_folder import ImageFolder
from invspec.datasets.torchvision_images import TorchvisionImages
from invspec.registry import cards

FROM_FILES = (HumanInvariance, ImageFolder, TorchvisionImages)
NAMES = {
    "attack": ATTACKS,
    "defence": [*DEFENCES, "untrained"],
    "model": [name for name in cards.names("model") if name not in ELSEWHERE],
    "measure": MEASURES,
    "check": CHECKS,
    "dataset": [
        name
        for name in cards.names("dataset")
        if complete(name) and not isinstance(dataset(name), FROM_FILES)
    ],
}


def card(kind: str, name: str) -> object:
    marks = pytest.mark.slow if kind == "model" and name in LARGE else ()
    return pytest.param(kind, name, marks=marks, id=f"{kind}-{name}")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        card(kind, name)
        for kind, names in NAMES.items()
        for name in names
        if (kind, name) not in CARDS
    ],
)
def test_a_card_gives_the_same_bytes_as_on_the_cpu(on_device: Child, kind: str, name: str) -> None:
    assert on_device(compared, kind, name) == []


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_an_exempt_card_still_fails_for_the_reason_given(
    on_device: Child, kind: str, name: str
) -> None:
    if name not in NAMES[kind]:
        pytest.skip(f"{name} needs an extra that is not installed")
    with pytest.raises(Exception, match=CARDS[kind, name].error):
        on_device(compared, kind, name)


@pytest.mark.parametrize(
    "name", [name for (_, name), exempt in CARDS.items() if exempt is AUTOCAST]
)
def test_a_defence_in_bfloat16_gives_the_same_bytes_in_float32(on_device: Child, name: str) -> None:
    assert on_device(compared, "defence", name, precision="float32") == []

"""Laptop scales compute in no precision that only some CPUs gain from."""

import pytest
import yaml
from workbench import ROOT

FILES = sorted((ROOT / "specs").rglob("*.yaml"))


def precisions(value):
    """All precisions that a scale sets, however deep."""
    items = value.items() if isinstance(value, dict) else ()
    for name, item in items:
        if str(name).split(".")[-1] == "precision":
            yield item
        yield from precisions(item)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_laptop_takes_the_precision_that_gains_there(path):
    # a CPU without instructions for bfloat16 emulates it, many times slower than float32
    scales = yaml.safe_load(path.read_text(encoding="utf-8")).get("scales", {})
    laptop = {name: body for name, body in scales.items() if name in ("laptop", "overnight")}
    assert set(precisions(laptop)) <= {"auto", "float32"}

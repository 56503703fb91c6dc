import pytest
from report_toys import SWEEPS

from invspec.report import provenance
from invspec.spec import overlay


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.31, "0.3 s"), (59.7, "1 min 0 s"), (310, "5 min 10 s"), (7380, "2 h 3 min")],
)
def test_durations_are_printed_as_people_say_them(seconds, text):
    assert provenance.duration(seconds) == text


def test_the_command_repeats_scale_and_settings(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(SWEEPS + "scales:\n  small: {seeds: [0]}\n")
    assert provenance.command(overlay.load(path)) == f"invspec run {path}"
    small = overlay.load(path, scale="small", settings=["attacks.pgd.steps=10"]).smoke()
    options = "--scale small --set attacks.pgd.steps=10 --smoke"
    assert provenance.command(small) == f"invspec run {path} {options}"
    assert small.name == "toy-small-smoke"

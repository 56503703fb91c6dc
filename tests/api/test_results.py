"""Runs and results in Python: specs as values, and data frames of what a store holds."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from workbench import registered, tiny

import invspec
from invspec.errors import InvspecError, SpecError
from invspec.registry import cards
from invspec.report import captions
from invspec.report.format import statistic_and_interval

SWEPT = tiny(
    seeds=[0, 1],
    attacks={"shift": {"by": {"sweep": [0, 0.5]}}, "other": {"use": "shift", "by": 0.75}},
    measures={
        "accuracy": {"of": "shift"},
        "other_accuracy": {"use": "accuracy", "of": "other"},
    },
    claims=[
        {
            "says": "the accuracy is above 0",
            "value": {"measure": "accuracy", "at": {"shift.by": 0}},
            "expect": {"value": {"above": 0}},
        }
    ],
)


@pytest.fixture(scope="module", autouse=True)
def _toys() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> invspec.Results:
    return invspec.run(SWEPT, store=tmp_path_factory.mktemp("api") / "store", workers=1)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, invspec; dir(invspec); print('torch' in sys.modules, invspec.__all__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False ['Attacked', 'Results', 'Spec'")


def test_what_is_promised_is_there_and_nothing_else() -> None:
    assert all(callable(getattr(invspec, name)) for name in invspec.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'attak'"):
        _ = invspec.attak  # pyright: ignore[reportAttributeAccessIssue]


def test_a_table_has_the_means_over_seeds(ran: invspec.Results) -> None:
    table = ran.table("accuracy")
    assert list(table.columns) == [0, 0.5]
    assert table.columns.name == "shift.by"
    cells = ran.cells()
    mine = cells[(cells["measure"] == "accuracy") & (cells["shift.by"] == 0)]
    assert len(mine) == 2
    assert table.iloc[0, 0] == pytest.approx(mine["value"].mean())


def test_tables_are_named_by_title_measure_or_number(ran: invspec.Results) -> None:
    assert ran.tables == ["accuracy under shift", "other_accuracy under other"]
    first = ran.table(0)
    for name in ("accuracy", "accuracy under shift"):
        pd.testing.assert_frame_equal(ran.table(name), first)
    with pytest.raises(SpecError, match="2 tables, expected one"):
        ran.table()
    with pytest.raises(SpecError, match="no table 'acuracy'\nhint: did you mean accuracy"):
        ran.table("acuracy")
    with pytest.raises(SpecError, match="no table 2, found 2 tables"):
        ran.table(2)


def test_numbers_have_intervals_and_every_coordinate(ran: invspec.Results) -> None:
    numbers = ran.numbers()
    mine = numbers[numbers["kind"] == "table"]
    assert len(mine) == 3
    assert all(mine["low"] <= mine["value"])
    assert all(mine["value"] <= mine["high"])
    assert list(mine["seeds"]) == [2, 2, 2]
    assert set(mine["model"]) == {"linear"}
    assert list(mine["attack"]) == ["shift", "shift", "other"]


def test_verdicts_samples_and_checks(ran: invspec.Results) -> None:
    (verdict,) = ran.verdicts().to_dict("records")
    assert verdict["says"] == "the accuracy is above 0"
    assert verdict["outcome"] in ("holds", "undecided")
    samples = ran.samples()
    assert len(samples) == 2 * 3 * 20
    right = samples[samples["shift.by"] == 0]
    share = (right["prediction_adv"] == right["y"]).groupby(right["seed"]).mean().mean()
    assert ran.table("accuracy").iloc[0, 0] == pytest.approx(share)
    assert len(ran.checks()) == 0


def test_a_report_is_exported_to_a_tracker(ran: invspec.Results, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert ran.export("tensorboard", tmp_path).startswith(f"exported: {tmp_path}/spec-")
    with pytest.raises(SpecError, match="no tracker 'tensorbord'"):
        ran.export("tensorbord", tmp_path)


def test_a_frame_may_be_changed(ran: invspec.Results) -> None:
    numbers = ran.numbers()
    numbers["value"] = 0
    assert any(ran.numbers()["value"] != 0)


def test_what_is_missing_is_nan(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    empty = invspec.results(SWEPT, store=store)
    assert empty.missing == 6
    assert empty.table("accuracy").isna().all().all()
    assert repr(empty) == "<results of spec: 6 cells, 6 of them missing, 1 claim>"
    assert len(empty.samples()) == 0
    assert math.isnan(empty.numbers()["value"].mean())


def test_results_of_a_file_are_those_of_the_same_dictionary(
    ran: invspec.Results, tmp_path: Path
) -> None:
    import yaml

    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SWEPT))
    same = invspec.results(path, store=ran.store.root)
    pd.testing.assert_frame_equal(same.cells(), ran.cells())
    assert same.plan.spec.name == "mine"


def test_overlays_are_those_of_the_command_line(tmp_path: Path) -> None:
    spec = {**SWEPT, "scales": {"small": {"seeds": [0]}}}
    small = invspec.Spec(spec, scale="small", set={"attacks.shift.by": 0.25}, name="toy")
    resolved = small.resolved
    assert resolved.options == ("--scale", "small", "--set", "attacks.shift.by=0.25")
    assert [v.coords for v in resolved.entries["attacks"]["shift"].variants] == [{}]
    swept = invspec.Spec(spec, set={"attacks.shift.by": {"sweep": (0.1, 0.2)}})
    assert len(swept.resolved.entries["attacks"]["shift"].variants) == 2
    assert invspec.Spec(spec, smoke=True).resolved.name == "spec-smoke"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"attacks": {"shift": {"bye": 1}}},
            "mine: attacks.shift.bye: Shift has no such parameter",
        ),
        ({"attacks": {"shift": {"by": object()}}}, "mine.attacks.shift.by: object cannot stand"),
        ({"extends": "nothing.yaml"}, "nothing.yaml"),
    ],
)
def test_a_wrong_dictionary_is_one_error_with_its_path(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        _ = invspec.Spec({**SWEPT, **change}, name="mine").resolved
    assert message in str(caught.value)


def test_numbers_of_numpy_may_stand_in_a_dictionary() -> None:
    spec = invspec.Spec(tiny(attacks={"shift": {"by": np.float64(0.5)}}))
    assert spec.resolved.entries["attacks"]["shift"].variants[0].method.by == 0.5


@pytest.mark.parametrize("by", [np.float64(0.5), np.float32(0.5), np.array(0.5)])
def test_values_of_settings_may_be_of_numpy(by: Any) -> None:
    resolved = invspec.Spec(tiny(), set={"attacks.shift.by": by, "seeds": range(2)}).resolved
    assert resolved.seeds == (0, 1)
    assert resolved.entries["attacks"]["shift"].variants[0].method.by == 0.5


def test_a_store_may_be_named_by_the_environment(
    ran: invspec.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_STORE", str(ran.store.root))
    assert invspec.results(SWEPT).missing == 0


def test_folders_of_own_cards_are_one_or_several_or_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "model").mkdir(parents=True)
        card = "target: invspec.models.linear:Linear\nsummary: a net\n"
        (tmp_path / name / "model" / f"{name}_net.yaml").write_text(card)
    before = list(cards._added)  # pyright: ignore[reportPrivateUsage]
    try:
        monkeypatch.setenv("INVSPEC_REGISTRY", str(tmp_path / "two"))
        spec = tiny(models={"one_net": {}, "two_net": {}})
        spec["train"] = [{**spec["train"][0], "model": ["one_net", "two_net"]}]
        assert invspec.Spec(spec, registry=tmp_path / "one").resolved
        with pytest.raises(SpecError, match="no folder nothing"):
            _ = invspec.Spec(spec, registry="nothing").resolved
    finally:
        cards._added[:] = before  # pyright: ignore[reportPrivateUsage]
        cards.forget()


def test_options_that_there_are_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no executor 'lokal'"):
        invspec.run(SWEPT, store=tmp_path / "store", executor="lokal")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "--workers: expected at least 1, found 0"),
        ({"per_device": -1}, "--per-device: expected at least 1, found -1"),
        ({"batch_size": 0}, "--batch-size: expected at least 1, found 0"),
        ({"patience": float("nan")}, "--patience: expected at least 10, found nan"),
        ({"lease": 0}, "lease: expected at least 1, found 0"),
    ],
)
def test_numbers_of_options_have_bounds(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        invspec.run("quickstart", store=tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_a_spec_without_claims_has_a_frame_of_verdicts_without_rows(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    verdicts = invspec.results(tiny(), store=tmp_path / "store").verdicts()
    assert len(verdicts) == 0
    assert {"says", "outcome", "value", "p_corrected"} <= set(verdicts.columns)


def test_failed_tasks_are_an_error_once_the_others_are_done(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = tiny(attacks={"shift": {"by": 0.25}, "broken": {"use": "breaks"}})
    spec["measures"] = {"accuracy": {"of": "shift"}, "lost": {"use": "accuracy", "of": "broken"}}
    with pytest.raises(InvspecError, match="1 task failed"):
        invspec.run(spec, store=tmp_path / "store", workers=1)
    assert invspec.results(spec, store=tmp_path / "store").missing == 1
    assert "failed: " in capfd.readouterr().err


def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no folder"):
        invspec.results(SWEPT, store=tmp_path / "nothing")


@pytest.mark.slow
def test_a_script_without_a_guard_may_start_workers(tmp_path: Path) -> None:
    """Workers do not import the script that started them."""
    script = tmp_path / "script.py"
    script.write_text(
        "import invspec\n"
        "print('imported')\n"
        "spec = {'title': 'a', 'seeds': [0, 1], 'datasets': {'digits': {}},\n"
        "        'models': {'linear': {}}, 'defences': {'standard': {'epochs': 1}},\n"
        "        'attacks': {'identity': {}}, 'measures': {'accuracy': {'of': 'identity'}},\n"
        "        'checks': 'none',\n"
        "        'train': [{'dataset': 'digits', 'model': 'linear', 'defence': 'standard'}]}\n"
        "print(invspec.run(spec, workers=2).missing)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "imported\n0\n", done.stderr


def test_a_notebook_shows_health_claims_and_tables(ran: invspec.Results) -> None:
    shown = ran._repr_html_()
    assert f"<b>{ran.plan.spec.title}</b>" in shown
    assert "<p>Health: not checked (checks: none)</p>" in shown
    assert "<td>the accuracy is above 0</td>" in shown
    (verdict,) = ran.report.verdicts
    assert captions.outcome(verdict) in shown
    assert f"{statistic_and_interval(verdict)[0]} <span" in shown
    for title in ran.tables:
        assert f"<p>{title}</p>" in shown
    assert shown.count("<tr>") == shown.count("</tr>") > len(ran.tables)


def test_a_notebook_says_what_is_missing_and_escapes_texts(tmp_path: Path) -> None:
    spec = {**SWEPT, "title": "a < b & c"}
    shown = invspec.results(spec, store=tmp_path)._repr_html_()
    assert "a &lt; b &amp; c" in shown
    assert "<td>2 scores missing</td>" in shown

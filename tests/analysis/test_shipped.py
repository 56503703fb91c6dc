"""Times that ship with invspec: made from reports, and gone by where a store knows nothing."""

import importlib
import re
from collections import Counter
from itertools import pairwise

import pytest
from imports import ROOT
from workbench import train, wait_for

from invspec.analysis import shipped
from invspec.analysis.forecast import forecast
from invspec.cli import hours
from invspec.cli.outlook import Outlook
from invspec.defences.standard import Standard
from invspec.execution.store import Store
from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.spec import document
from invspec.spec.resolve import resolve
from invspec.tasks import Train

QUICKSTART = ROOT / "specs" / "quickstart.yaml"
TEMPERATURE = ROOT / "docs" / "papers" / "data" / "nspgd_temperature.json"


@pytest.fixture(scope="module")
def tasks():
    source = document.parse(QUICKSTART.read_text(encoding="utf-8"), str(QUICKSTART))
    return planner.plan(resolve(source), lambda question: "float32").tasks


def test_before_the_first_run_the_quickstart_takes_what_it_took_us(tasks, tmp_path, monkeypatch):
    expected = forecast(tasks, [], Store(tmp_path), with_shipped=True)
    assert expected.devices == [shipped.DEVICE]
    estimate = expected.estimate(tasks, shipped.DEVICE)
    assert estimate.like == {"seed": len(tasks)}
    # the README says a minute or two on two cores
    assert 30 < estimate.seconds.median < 600
    monkeypatch.setattr(hours, "_slots", lambda: Counter(cpu=2))
    first, second, *_, last = hours.lines(expected)
    assert first.startswith("cpu: ")
    assert first.endswith(f"ship with invspec, of a core of {' or '.join(shipped.processors())};")
    assert second == "  yours may take half as long, or twice"
    assert last.endswith(" on 2 workers of this machine")


def test_a_run_on_processors_goes_by_them_until_it_has_times_of_its_own(tasks, tmp_path):
    outlook = Outlook(tasks, [], Store(tmp_path), with_shipped=True)
    wait_for(lambda: outlook.left.startswith("about "))
    assert re.fullmatch(r"about \d+ (s|min) left", outlook.left)
    first, *_ = (task for task in tasks if isinstance(task, Train))
    outlook.finish(first, 36_000.0)
    # three other trainings like this one
    assert re.fullmatch(r"about \d+ h \d+ min left", outlook.left)


def test_without_leave_they_are_not_used(tasks, tmp_path):
    assert forecast(tasks, [], Store(tmp_path)).devices == []


def test_a_store_that_has_done_the_like_of_all_tasks_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "rate", lambda likeness: 1.0)
    store = Store(tmp_path)
    store.save(train(), Artifact({}), seconds=6.0, device="NVIDIA H200")
    other = train(defence=Standard(epochs=8, batch_size=8, lr=0.1), seed=1)
    assert forecast([other], [train()], store, with_shipped=True).devices == ["NVIDIA H200"]


def test_work_of_no_shipped_kind_stays_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "rate", lambda likeness: None)
    assert forecast([train()], [], Store(tmp_path), with_shipped=True).devices == []


def test_the_shipped_times_are_those_of_the_kept_reports(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    shipped_times = importlib.import_module("shipped_times")
    written = shipped.read()
    kept = {path.stem for path in TEMPERATURE.parent.glob("*.json")}
    assert set(written) == kept | {"quickstart"}
    section = shipped_times.section(TEMPERATURE)
    assert written["nspgd_temperature"] == section
    assert len(section["rates"]) > 100
    assert all(rate > 0 for rate in section["rates"].values())


def test_equal_likenesses_alone_share_a_digest():
    texts = [("seed", "Training", "a"), ("scale", "Training", "a"), ("seed", "Training", "a", "")]
    digests = sorted(map(shipped.digest, texts))
    assert all(one != other for one, other in pairwise(digests))
    assert shipped.digest(texts[0]) == shipped.digest(("seed", "Training", "a"))

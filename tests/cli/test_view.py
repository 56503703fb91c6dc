"""`invspec view` serves the pages of a store to this machine, and follows a run."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from workbench import command

from invspec.cli import options, serve, session, studies
from invspec.cli.options import AS_WRITTEN
from invspec.errors import SpecError
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store

SPEC = """
title: Small <b>study</b>
seeds: [0]
datasets: {digits: {}}
models: {linear: {}}
defences: {plain: {use: standard, epochs: 1}}
attacks:
  clean: {use: identity, sample: {limit: 20}}
  pgd: {use: pgd, steps: 2, sample: {limit: 20}}
measures: {accuracy: {of: clean}, robust_accuracy: {of: pgd}}
train: [{dataset: digits, model: linear, defence: plain}]
checks: none
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "small.yaml").write_text(SPEC)
    kept = options.store_at(tmp_path / "store", create=True)
    kept.prepare()
    return kept


@pytest.fixture
def address(tmp_path: Path, store: Store) -> Iterator[str]:
    call = options.call(None, store.root, None)
    study = studies.of_spec(str(tmp_path / "small.yaml"), AS_WRITTEN, store, call)
    with serve.server([study], 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


def answer(address: str, path: str, **headers: str) -> tuple[int, str]:
    """The status and the text that a path is answered with."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_the_index_names_each_study_and_how_far_it_is(address: str) -> None:
    index = read(address)
    assert "Small &lt;b&gt;study&lt;/b&gt;" in index
    assert "0 of 2 results" in index
    assert 'href="small/"' in index


def test_a_page_follows_the_store(address: str, tmp_path: Path, store: Store) -> None:
    assert "2 of 2 cells are missing" in read(f"{address}/small/")
    assert read(f"{address}/small/state") == "0 of 2 results"
    plan = options.planned(str(tmp_path / "small.yaml"), AS_WRITTEN, store)
    assert session.run(plan, store, LocalExecutor(["cpu"])) == 0
    assert read(f"{address}/small/state") == "2 of 2 results"
    page = read(f"{address}/small")
    assert "are missing" not in page
    assert 'fetch("state"' in page


def test_a_page_follows_its_spec(address: str, tmp_path: Path) -> None:
    read(f"{address}/small/")
    (tmp_path / "small.yaml").write_text(SPEC.replace("Small", "Changed"))
    assert "Changed" in read(f"{address}/small/")


def test_a_spec_that_has_become_wrong_is_an_answer(address: str, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SPEC.replace("linear: {}", "linea: {}"))
    status, text = answer(address, "/small/")
    assert status == 500
    assert "small.yaml:5" in text


@pytest.mark.parametrize("path", ["/other/", "/small/../../small.yaml", "/small/%2e%2e/study.json"])
def test_nothing_else_of_the_disk_is_served(address: str, path: str) -> None:
    assert answer(address, path)[0] == 404


def test_another_site_cannot_reach_it_by_a_name_of_its_own(address: str) -> None:
    assert answer(address, "/", Host="example.com")[0] == 403


def test_without_specs_it_shows_the_pages_of_the_store(tmp_path: Path, store: Store) -> None:
    call = options.call(None, store.root, None)
    with pytest.raises(SpecError, match="no pages in"):
        studies.on_shelf(store, AS_WRITTEN, call)
    selection = options.Selection(set=["attacks.pgd.steps=3"], smoke=True)
    studies.of_spec(str(tmp_path / "small.yaml"), selection, store, call).page()
    (again,) = studies.on_shelf(store, AS_WRITTEN, call)
    assert (again.selection.set, again.selection.smoke) == (["attacks.pgd.steps=3"], True)
    assert again.page().parent.name.startswith("small-")


def test_a_taken_port_is_refused_in_a_sentence(tmp_path: Path, store: Store) -> None:
    with serve.server([], 0) as listening:
        port = listening.server_port
        done = command("view", tmp_path / "small.yaml", "--store", store.root, "--port", port)
    assert done.returncode == 2
    assert f"--port: cannot listen on port {port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr

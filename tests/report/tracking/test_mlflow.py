"""The export to MLflow, read back from its SQLite store by its own client."""

import os

import pytest

from invspec.errors import InvspecError
from invspec.report.tracking import mlflow

# MLflow's own, and those of what it imports
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _without_telemetry():
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture
def client(study, kept, tmp_path):
    library = pytest.importorskip("mlflow")
    said = mlflow.export(study, kept, tmp_path)
    assert f"see it with: mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db" in said
    return library.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


def runs_of(client, study):
    """The run of the report, and those of its nets by name."""
    experiment = client.get_experiment_by_name(study.name)
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if mlflow.DIGEST in run.data.tags]
    return parent, {run.info.run_name: run for run in runs if run is not parent}


def test_every_net_is_a_run_below_that_of_the_report(client, study):
    parent, nets = runs_of(client, study)
    assert set(nets) == {run.name for run in study.nets}
    net = nets["linear, rotations max_degrees 180, seed 1"]
    assert net.data.tags[mlflow.PARENT] == parent.info.run_id
    assert net.info.status == parent.info.status == "FINISHED"
    assert net.data.params["rotations.max_degrees"] == "180"
    assert net.data.metrics["accuracy"] == 0.8
    assert net.data.metrics["accuracy/low"] < 0.8 < net.data.metrics["accuracy/high"]
    history = client.get_metric_history(net.info.run_id, "training/loss")
    assert sorted((metric.step, metric.value) for metric in history) == [(1, 3), (2, 1), (3, 0.5)]


def test_the_report_has_means_settings_verdicts_and_its_files(client, study, kept):
    parent, _ = runs_of(client, study)
    assert parent.data.metrics == pytest.approx(dict(study.summary.metrics))
    assert parent.data.params["attacks.pgd.eps.sweep"] == "[0, 0.1, 0.2]"
    assert parent.data.tags["claim 2"] == "fails: this fails"
    paths = {entry.path for entry in client.list_artifacts(parent.info.run_id)}
    assert {"index.html", "report.json", "numbers.csv", "verdicts.csv", "figures"} <= paths
    figures = client.list_artifacts(parent.info.run_id, "figures")
    assert {f"figures/{path.name}" for path in kept.figures} <= {entry.path for entry in figures}


def test_a_second_export_adds_no_run_and_an_interrupted_one_is_replaced(
    client, study, kept, tmp_path
):
    parent, nets = runs_of(client, study)
    said = mlflow.export(study, kept, tmp_path)
    assert said.startswith(f"already exported: run {parent.info.run_id}")
    assert len(runs_of(client, study)[1]) == len(nets)
    client.update_run(parent.info.run_id, status="RUNNING")
    assert mlflow.export(study, kept, tmp_path).startswith("exported: ")
    again, others = runs_of(client, study)
    assert again.info.run_id != parent.info.run_id
    assert len(others) == len(nets)


def test_without_a_folder_it_goes_where_the_variable_says(
    client, study, kept, tmp_path, monkeypatch
):
    monkeypatch.setenv(mlflow.VARIABLE, f"sqlite:///{tmp_path}/mlflow.db")
    assert mlflow.export(study, kept, None).startswith("already exported: ")


def test_a_wrong_address_is_one_message(study, kept, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv(mlflow.VARIABLE, "nowhere://server")
    with pytest.raises(InvspecError, match=r"(?s)MLflow at nowhere.*hint: check MLFLOW_TRACKING"):
        mlflow.export(study, kept, None)


def test_names_are_what_mlflow_takes_and_long_ones_stay_different():
    assert mlflow._name("a/b=1, β: 0.5") == "a/b_1_ β: 0.5"
    first, second = (mlflow._name("x" * 300 + end) for end in "ab")
    assert first != second
    assert len(first) == len(second) == mlflow.LONGEST_NAME

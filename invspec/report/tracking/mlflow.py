"""Export to MLflow: an experiment for each study, a run for each report, one for each net."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError, first_line
from invspec.plan import coordinates
from invspec.report.tracking.files import Files
from invspec.report.tracking.runs import Run, Study

NAME, PACKAGE = "MLflow", "mlflow"
# names the server that is used if no folder is given
VARIABLE = "MLFLOW_TRACKING_URI"
DIGEST, PARENT = "invspec.digest", "mlflow.parentRunId"
# what one request may hold, and letters of a name and of a text
MOST_PARAMS, MOST_METRICS = 100, 1000
LONGEST_NAME, LONGEST_TEXT = 250, 5000


def export(study: Study, report_files: Files, output: Path | None) -> str:
    """Write to output/mlflow.db or, without a folder, where MLFLOW_TRACKING_URI says.

    Returns what to tell the user. Every run has its numbers as metrics and its settings as params;
    the report has verdicts and provenance as tags, and its page, figures and tables as artifacts. A
    report that is there already stays as it is, and one that was interrupted is replaced.

    Raises: InvspecError if MLflow refuses or cannot reach its server.
    """
    uri = os.environ[VARIABLE] if output is None else _local(output)
    # as it is printed: without a name and a password
    place = re.sub(r"//[^/@]*@", "//", uri)
    # before its first import, so that MLflow does not report its use
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    mlflow = import_module("mlflow")
    try:
        return _export(mlflow.MlflowClient(tracking_uri=uri), study, report_files, output, place)
    except mlflow.exceptions.MlflowException as problem:
        hint = f"check {VARIABLE}" if output is None else "choose another --output"
        raise InvspecError(f"MLflow at {place}: {first_line(problem)}", hint=hint) from None


def _export(client: Any, study: Study, report_files: Files, output: Path | None, place: str) -> str:
    experiment = _experiment(client, study.name, output)
    for run in _exported(client, experiment, study.digest):
        if run.info.status == "FINISHED":
            return f"already exported: run {run.info.run_id} of {study.name} in {place}"
        _delete(client, experiment, run.info.run_id)
    tags = {DIGEST: study.digest, **_cut(study.facts)}
    parent = _begun(client, experiment, study.summary, tags)
    for net in study.nets:
        begun = _begun(client, experiment, net, {PARENT: parent})
        client.set_terminated(begun)
    client.log_artifacts(parent, str(report_files.folder))
    client.set_terminated(parent)
    seen = f"\nsee it with: mlflow ui --backend-store-uri {place}" if output else ""
    return f"exported: run {parent} of {study.name} in {place}{seen}"


def _local(output: Path) -> str:
    output.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(output / 'mlflow.db').resolve()}"


def _experiment(client: Any, name: str, output: Path | None) -> str:
    """The id of the experiment of this name, which is created if need be."""
    if (known := client.get_experiment_by_name(name)) is not None:
        return known.experiment_id
    place = None if output is None else (output / "artifacts").resolve().as_uri()
    return client.create_experiment(name, artifact_location=place)


def _exported(client: Any, experiment: str, digest: str) -> Sequence[Any]:
    return client.search_runs([experiment], f"tags.`{DIGEST}` = '{digest}'")


def _delete(client: Any, experiment: str, run: str) -> None:
    """Delete what an interrupted export left."""
    for net in client.search_runs([experiment], f"tags.`{PARENT}` = '{run}'"):
        client.delete_run(net.info.run_id)
    client.delete_run(run)


def _begun(client: Any, experiment: str, run: Run, tags: Mapping[str, str]) -> str:
    """The id of a new run with params, metrics and curves."""
    entities = import_module("mlflow.entities")
    now = int(time.time() * 1000)
    begun = client.create_run(experiment, run_name=run.name, tags=dict(tags)).info.run_id
    texts = {name: coordinates.shown(value) for name, value in run.params.items()}
    params = iter([entities.Param(name, text) for name, text in _cut(texts).items()])
    metrics = iter(
        [entities.Metric(_name(name), value, now, step) for name, value, step in _points(run)]
    )
    # the first request has up to MOST_METRICS metrics and MOST_PARAMS params, the next has the rest
    while any(part := (list(islice(metrics, MOST_METRICS)), list(islice(params, MOST_PARAMS)))):
        client.log_batch(begun, *part)
    return begun


def _points(run: Run) -> Iterator[tuple[str, float, int]]:
    """Every number of a run with its step: 0, or an epoch."""
    for name, value in run.metrics.items():
        yield name, value, 0
    for name, curve in run.curves.items():
        for epoch, value in enumerate(curve, 1):
            yield f"training/{name}", value, epoch


def _cut(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts under names that MLflow takes, without empty ones."""
    return {_name(name): text[:LONGEST_TEXT] for name, text in texts.items() if text}


def _name(name: str) -> str:
    """A name of letters, digits, spaces and _ - . / : as MLflow takes it; long ones are cut."""
    plain = re.sub(r"[^\w\-./: ]", "_", name)
    if len(plain) <= LONGEST_NAME:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST_NAME - len(digest) - 1]}-{digest}"

"""The export to Weights & Biases, offline: run files, read by its own messages."""

import json
import struct

import pytest

from invspec.report.tracking import files, wandb

# W&B's own, and those of what it imports
pytestmark = pytest.mark.filterwarnings("ignore")
pytest.importorskip("wandb")

FILE_HEADER, HEADER, BLOCK = 7, struct.Struct("<IHB"), 32768
FULL, FIRST = 1, 2


def records(path):
    """The messages of a run file: a log of LevelDB, in blocks, behind a header of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, message = path.read_bytes(), FILE_HEADER, b""
    while place + HEADER.size <= len(content):
        if BLOCK - place % BLOCK < HEADER.size:
            place += BLOCK - place % BLOCK
            continue
        _, size, kind = HEADER.unpack_from(content, place)
        place += HEADER.size
        part = content[place : place + size]
        message = part if kind in (FULL, FIRST) else message + part
        place += size
        if kind not in (FIRST, FIRST + 1):
            yield Record.FromString(message)


def items(parts):
    return {part.key or "/".join(part.nested_key): json.loads(part.value_json) for part in parts}


class Read:
    """A run as its file holds it."""

    def __init__(self, path):
        self.config, self.summary, self.history, self.media = {}, {}, [], []
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    self.run = record.run
                    self.config |= items(record.run.config.update)
                case "config":
                    self.config |= items(record.config.update)
                case "summary":
                    self.summary |= items(record.summary.update)
                case "history":
                    self.history.append(items(record.history.item))
                case "files":
                    self.media += [file.path for file in record.files.files]
                case _:
                    pass


def exported(folder):
    """The runs below a folder, by name."""
    runs = [Read(path) for path in sorted(folder.glob("*/wandb/offline-run-*/*.wandb"))]
    return {read.run.display_name: read for read in runs}


def test_an_export_has_a_run_for_each_net_and_one_for_the_report_and_is_written_once(
    study, kept, tmp_path, monkeypatch
):
    """One test, as W&B takes seconds for each run."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    first = study.nets[:1]
    few = type(study)(study.name, study.summary, first, study.facts)
    assert wandb.export(few, kept, tmp_path).startswith("exported: ")
    runs = exported(tmp_path)
    assert set(runs) == {first[0].name, study.name}

    net = runs[first[0].name]
    assert (net.run.project, net.run.job_type, net.run.run_group) == ("toy", "net", few.digest)
    assert net.config["rotations.max_degrees"] == 0
    assert net.summary["accuracy"] == 0.8
    assert net.summary["accuracy/low"] < 0.8 < net.summary["accuracy/high"]
    losses = [(step["_step"], step["training/loss"]) for step in net.history]
    assert losses == [(1, 2.0), (2, 1.0), (3, 0.5)]

    report = runs[study.name]
    assert report.run.job_type == "report"
    assert report.config["report"]["claim 2"] == "fails: this fails"
    numbers = {name: report.summary[name] for name in study.summary.metrics}
    assert numbers == pytest.approx(dict(study.summary.metrics))
    media = " ".join(report.media)
    assert all(part in media for part in ("media/html/page", "media/table/verdicts"))
    assert all(f"media/images/figures/{path.stem}" in media for path in kept.figures)
    # nothing is written elsewhere
    assert not (tmp_path / "home").exists()

    assert wandb.export(few, kept, tmp_path).startswith("already exported: ")
    assert len(exported(tmp_path)) == 2
    (tmp_path / f"toy-{few.digest}" / files.DONE).unlink()
    assert wandb.export(few, kept, tmp_path).startswith("exported: ")
    assert len(list(tmp_path.glob("*/wandb/offline-run-*"))) == 2

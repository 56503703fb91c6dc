"""The export to TensorBoard, as TensorBoard's own reader sees it."""

import pytest

from invspec.report.tracking import files, tensorboard

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
NET = "linear-rotations-max_degrees-180-seed-1"


def read(folder):
    """The events of a run, all of them."""
    events = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


@pytest.fixture
def exported(study, kept, tmp_path):
    said = tensorboard.export(study, kept, tmp_path)
    assert said.startswith("exported: ")
    return tmp_path / f"{study.name}-{study.digest}"


def test_numbers_intervals_and_curves_are_scalars(exported, study):
    assert len(list(exported.iterdir())) == len(study.nets) + 2  # the report and the mark
    events = read(exported / NET)
    (accuracy,) = events.Scalars("accuracy")
    assert accuracy.value == pytest.approx(0.8)
    assert events.Scalars("accuracy/low")[0].value < 0.8
    loss = events.Scalars("training/loss")
    assert [(event.step, event.value) for event in loss] == [(1, 3.0), (2, 1.0), (3, 0.5)]


def test_settings_are_hyperparameters_and_verdicts_are_text(exported):
    content = read(exported / NET).summary_metadata["_hparams_/session_start_info"]
    assert b"rotations.max_degrees" in content.plugin_data.content
    report = read(exported / "toy")
    (text,) = report.Tensors("report/text_summary")
    assert "- **claim 2**: fails: this fails" in text.tensor_proto.string_val[0].decode()


def test_figures_are_images(exported, kept):
    report = read(exported / "toy")
    assert kept.figures
    assert set(report.Tags()["images"]) == {path.stem for path in kept.figures}


def test_a_second_export_writes_nothing_and_an_interrupted_one_is_replaced(
    exported, study, kept, tmp_path
):
    def events():
        return sorted(exported.rglob("events.*"))

    before = events()
    assert tensorboard.export(study, kept, tmp_path).startswith("already exported: ")
    assert events() == before
    (exported / files.DONE).unlink()
    assert tensorboard.export(study, kept, tmp_path).startswith("exported: ")
    assert len(events()) == len(before)
    assert len(read(exported / NET).Scalars("accuracy")) == 1

"""Every example as a row, read back."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from shown import shown
from workbench import call, planned, registered, tiny, written

from invspec.data import JUDGED, WALKED
from invspec.errors import InvspecError
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.plan.cells import Plan
from invspec.report import samples
from invspec.tasks import Perturb, Score, key

SPEC = tiny(
    seeds=[0, 1],
    attacks={
        "shift": {"by": {"sweep": [0, 0.5]}},
        "other": {"use": "shift", "by": 0.75},
        "late": {"use": "noise"},
    },
    measures={
        "accuracy": {"of": "shift", "clean": {"sweep": [False, True]}},
        "gap": {"of": ["shift", "other"]},
        "late_accuracy": {"use": "accuracy", "of": "late"},
    },
)
Ran = tuple[Plan, Store]
READ = {"parquet": pyarrow.parquet.read_table, "csv": pyarrow.csv.read_csv}
COORDINATES = ["dataset", "model", "defence", "attack", "shift.by", "seed"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A plan whose attack `late` is not computed, and its store."""
    with registered():
        toy, kept = planned(SPEC), Store(tmp_path_factory.mktemp("store"))
        list(
            execute(
                [cell.goal for cell in toy.cells if cell.coords["measure"] != "late_accuracy"],
                kept,
                LocalExecutor(),
            )
        )
        yield toy, kept


@pytest.mark.parametrize("format", READ)
def test_every_example_of_every_attack_is_a_row(ran: Ran, tmp_path, format):
    path = tmp_path / "new" / f"out.{format}"
    assert (
        samples.write(*ran, path, format) == 2 * 3 * 20
    )  # seeds, attacks with their sweeps, examples
    table = READ[format](path)
    assert table.num_rows == 120
    assert sorted(table.column_names) == sorted(["task", *COORDINATES, *JUDGED])
    assert table.column_names[-len(JUDGED) :] == list(JUDGED)
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_types_are_those_of_the_values(ran: Ran, tmp_path):
    samples.write(*ran, tmp_path / "out.parquet", "parquet")
    types = {
        field.name: field.type for field in pyarrow.parquet.read_schema(tmp_path / "out.parquet")
    }
    assert types["seed"] == types["y"] == types["forwards"] == pa.int64()
    assert types["confidence_adv"] == types["l2"] == pa.float32()
    assert types["shift.by"] == pa.float64()
    assert types["attack"] == types["task"] == pa.string()


@pytest.mark.parametrize("format", READ)
def test_coordinates_and_columns_are_those_of_the_task(ran: Ran, tmp_path, format):
    toy, kept = ran
    samples.write(toy, kept, tmp_path / "out", format)
    rows = READ[format](tmp_path / "out").to_pylist()
    attacked = {key(task): task for task in toy.tasks if isinstance(task, Perturb) and task in kept}
    assert {row["task"] for row in rows} == set(attacked)
    for name, task in attacked.items():
        mine = [row for row in rows if row["task"] == name]
        by = task.attack.by
        for row in mine:
            assert (row["attack"], row["shift.by"]) == (
                ("other", None) if by == 0.75 else ("shift", by)
            )
            assert (row["dataset"], row["model"], row["defence"]) == ("fake", "linear", "standard")
            assert row["seed"] == task.train.seed
        tensors = kept.load(task).tensors
        for column in JUDGED:
            assert [row[column] for row in mine] == pytest.approx(
                tensors[column].tolist(), rel=1e-6
            )


def test_what_says_nothing_of_an_example_is_no_column(ran: Ran, tmp_path):
    samples.write(*ran, tmp_path / "out", "parquet")
    assert not {"measure", "accuracy.clean"} & set(
        pyarrow.parquet.read_schema(tmp_path / "out").names
    )


def test_where_nothing_is_computed_there_are_columns_without_rows(ran: Ran, tmp_path):
    assert samples.write(ran[0], Store(tmp_path), tmp_path / "out.parquet", "parquet") == 0
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 0
    assert set(table.column_names) == {"task", *COORDINATES, *JUDGED}


def test_a_value_that_is_a_number_here_and_a_text_there_is_a_text():
    schema = samples._schema(
        [{"a": 1, "b": 1, "c": True}, {"a": 0.5, "b": "x", "c": False}], JUDGED
    )
    assert [schema.field(name).type for name in "abc"] == [pa.float64(), pa.string(), pa.bool_()]


def test_how_walks_ended_is_true_or_false():
    schema = samples._schema([{"attack": "nspgd"}], JUDGED + WALKED)
    assert schema.names[-2:] == ["ran_out", "start_refused"]
    assert {schema.field(name).type for name in WALKED} == {pa.bool_()}


def test_a_file_that_cannot_be_written_is_one_message(ran: Ran, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvspecError, match=r"--output: cannot write .*out.csv: "):
        samples.write(*ran, tmp_path / "file" / "out.csv", "csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvspecError, match=r"--output: cannot write .*folder: Is a directory"):
        samples.write(*ran, tmp_path / "folder", "parquet")


def test_a_damaged_artifact_leaves_the_last_file_alone(ran: Ran, tmp_path, monkeypatch):
    toy, kept = ran
    samples.write(toy, kept, tmp_path / "out.csv", "csv")
    before = (tmp_path / "out.csv").read_bytes()
    torn = next(task for task in reversed(toy.tasks) if isinstance(task, Perturb) and task in kept)
    load = Store.load

    def damaged(store, task):
        if task == torn:
            raise InvspecError("damaged")
        return load(store, task)

    monkeypatch.setattr(Store, "load", damaged)
    with pytest.raises(InvspecError, match="damaged"):
        samples.write(toy, kept, tmp_path / "out.csv", "csv")
    assert (tmp_path / "out.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_the_command_says_how_many_rows(ran: Ran, tmp_path, capsys):
    spec = written(tmp_path, SPEC)
    assert call("samples", spec, "--store", ran[1].root, "--output", tmp_path / "out.parquet") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out.parquet'}: 120 rows\n"


def test_scores_agree_with_the_rows(ran: Ran, tmp_path):
    toy, kept = ran
    samples.write(toy, kept, tmp_path / "out", "parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "out").to_pylist()
    for cell in toy.cells:
        if cell.coords["measure"] != "accuracy":
            continue
        assert isinstance(cell.goal, Score)
        column = "prediction" if cell.coords["accuracy.clean"] else "prediction_adv"
        mine = [row for row in rows if row["task"] == key(cell.goal.of[0][0])]
        share = torch.tensor([row[column] == row["y"] for row in mine]).double().mean().item()
        (row,) = shown(kept.load(cell.goal).rows or ())
        assert row.value == pytest.approx(share)


def rows_of(content, folder):
    """The rows of a spec, computed in a store of its own."""
    toy, kept = planned(content), Store(folder / "store")
    list(execute([cell.goal for cell in toy.cells], kept, LocalExecutor()))
    samples.write(toy, kept, folder / "out.parquet", "parquet")
    return pyarrow.parquet.read_table(folder / "out.parquet").to_pylist()


def test_attacks_in_place_of_one_are_named_one_by_one(ran: Ran, tmp_path):
    swept = {"by": {"sweep": [0.25, 0.5]}}
    attacks = {"shift": swept, "other": {"use": "shift", **swept}}
    measures = {"worst": {"use": "accuracy", "of": ["shift", "other"]}}
    rows = rows_of(tiny(attacks=attacks, measures=measures), tmp_path)
    assert {(row["attack"], row["shift.by"], row["other.by"]) for row in rows} == {
        ("shift", 0.25, None),
        ("shift", 0.5, None),
        ("other", None, 0.25),
        ("other", None, 0.5),
    }
    assert len(rows) == 4 * 20


def test_every_value_of_a_sweep_that_one_score_reads_has_its_rows(ran: Ran, tmp_path):
    attacks = {"shift": {"by": {"sweep": [0.25, 0.5, 0.75]}}}
    measures = {"area": {"use": "area_under_profile", "of": "shift"}}
    rows = rows_of(tiny(attacks=attacks, measures=measures), tmp_path)
    assert {row["shift.by"] for row in rows} == {0.25, 0.5, 0.75}
    assert len(rows) == 3 * 20


def test_the_rows_of_a_transfer_attack_are_those_of_the_attacked_net(ran: Ran, tmp_path):
    content = tiny(
        models={"linear": {}, "mlp": {}},
        attacks={"moved": {"use": "shift", "from": {"model": "mlp", "defence": "standard"}}},
        measures={"accuracy": {"of": "moved"}},
    )
    rows = rows_of(content, tmp_path)
    assert [(row["model"], row["attack"]) for row in rows] == [("linear", "moved")] * 20


def test_a_link_stays_a_link_and_its_target_is_written(ran: Ran, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "out.csv", tmp_path / "elsewhere" / "rows.csv"
    link.symlink_to(target)
    samples.write(*ran, link, "csv")
    assert link.is_symlink()
    assert pyarrow.csv.read_csv(target).num_rows == 120
    assert [child.name for child in target.parent.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "CSV"])
def test_the_command_writes_what_the_suffix_says(ran: Ran, tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    store = ("--store", ran[1].root)
    assert call("samples", written(tmp_path, SPEC), *store, "--output", path) == 0
    assert READ[suffix.lower()](path).num_rows == 120


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("rows.csv", ["--format", "parquet"], "has the suffix of csv, and --format is parquet"),
        ("rows.xlsx", [], "the suffix of {} is of no format\nhint: expected .parquet or .csv"),
    ],
)
def test_a_suffix_that_contradicts_is_refused(ran: Ran, tmp_path, capsys, name, given, message):
    path = tmp_path / name
    options = ("--store", ran[1].root, "--output", path, *given)
    assert call("samples", written(tmp_path, SPEC), *options) == 2
    assert message.format(path) in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize("format", READ)
def test_the_command_streams_to_stdout(ran: Ran, tmp_path, format, capfdbinary):
    options = ("--store", ran[1].root, "--output", "-", "--format", format)
    assert call("samples", written(tmp_path, SPEC), *options) == 0
    out, err = capfdbinary.readouterr()
    assert READ[format](pa.BufferReader(out)).num_rows == 120
    assert err.endswith(b"stdout: 120 rows\n")

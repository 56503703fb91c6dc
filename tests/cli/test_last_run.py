"""`invspec report` without a spec reports on the last run."""

import pytest
from workbench import call, registered, tiny, written

from invspec.cli import last_run
from invspec.cli.last_run import Call
from invspec.cli.options import AS_WRITTEN, Selection
from invspec.errors import SpecError
from invspec.execution.disk import Unwritable
from invspec.execution.store import Store


def test_a_call_is_loaded_as_it_was_saved(tmp_path):
    store, spec = Store(tmp_path), written(tmp_path, tiny())
    last_run.save(store, Call(str(spec), Selection("laptop", ["a.b=1"], True, [tmp_path])))
    expected = Call(str(spec.resolve()), Selection("laptop", ["a.b=1"], True, [tmp_path.resolve()]))
    assert last_run.load(store) == expected
    last_run.save(store, Call("quickstart", AS_WRITTEN))
    assert last_run.load(store) == Call("quickstart", Selection(registry=[]))


@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '"text"', '{"spec": "a"}'])
def test_without_a_last_run_a_spec_must_be_named(tmp_path, content):
    if content is not None:
        (tmp_path / "last.json").write_text(content)
    message = r"no last run in .*\nhint: name a spec: invspec report SPEC"
    with pytest.raises(SpecError, match=message):
        last_run.load(Store(tmp_path))


def test_a_call_that_cannot_be_saved_is_one_message(tmp_path):
    (tmp_path / "last.json").mkdir()
    with pytest.raises(Unwritable, match=r"cannot write to the store .*: Is a directory"):
        last_run.save(Store(tmp_path), Call("quickstart", AS_WRITTEN))


@pytest.mark.parametrize(
    "options",
    [("--scale", "laptop"), ("--set", "title=x"), ("--smoke",), ("--registry", ".")],
    ids=" ".join,
)
def test_options_that_select_a_plan_need_its_spec(tmp_path, capsys, options):
    last_run.save(Store(tmp_path), Call("quickstart", AS_WRITTEN))
    assert call("report", "--store", tmp_path, *options) == 2
    assert capsys.readouterr().err.startswith(f"error: {options[0]}: needs a spec\n")


def test_a_report_without_a_spec_is_that_of_the_last_run(tmp_path, capsys):
    with registered() as toy_cards:
        spec = written(tmp_path, tiny())
        options = ["--store", tmp_path / "store", "--registry", toy_cards]
        assert call("run", spec, *options, "--devices", "cpu") == 0
        capsys.readouterr()
        assert call("report", "--store", tmp_path / "store", "--format", "csv") == 0
        last = capsys.readouterr().out
        assert call("report", spec, *options, "--format", "csv") == 0
        assert capsys.readouterr().out == last != ""

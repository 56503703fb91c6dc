import csv
import io
import json

from report_toys import half
from toy_specs import SWEEPS

from invspec.report.contents import report
from invspec.report.export import csv_text, json_text


def test_csv_has_a_line_for_each_cell_with_its_cost_and_key(planned, toy_store):
    plan = planned(SWEEPS)
    store = toy_store(plan, lambda coords: None if coords["seed"] else half(coords))
    lines = list(csv.DictReader(io.StringIO(csv_text(report(plan, store), store))))
    assert len(lines) == len(plan.cells)
    attacked = next(line for line in lines if line["pgd.eps"] == "0.1")
    assert (attacked["value"], attacked["n"], attacked["forwards"]) == ("0.5", "100", "40.0")
    assert (attacked["seconds_train"], attacked["seconds_perturb"]) == ("60.0", "5.0")
    assert len(attacked["key"]) == 40
    missing = next(line for line in lines if line["seed"] == "1")
    assert (missing["value"], missing["seconds_score"], len(missing["key"])) == ("", "", 40)


def test_json_holds_verdicts_cells_and_provenance(planned, toy_store):
    claim = (
        "{says: it, value: {measure: accuracy, at: {model: linear, defence: plain}}, "
        "expect: {value: {above: 0.1}}}"
    )
    plan = planned(SWEEPS + f"checks: none\nclaims:\n  - {claim}\n")
    store = toy_store(plan, half)
    read = json.loads(json_text(report(plan, store), store))
    assert [claim["outcome"] for claim in read["claims"]] == ["holds"]
    (claim,) = read["claims"]
    assert (claim["expected"], claim["above"], claim["below"]) == ("above 0.1", 0.1, None)
    assert len(read["cells"]) == len(plan.cells)
    assert read["provenance"]["done"] == read["provenance"]["tasks"]
    assert read["provenance"]["command"] == "invspec run toy.yaml"

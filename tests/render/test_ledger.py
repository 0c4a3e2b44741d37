"""The ledger as a reader has it: text, JSON, the values of the pane, and the still picture."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema

from inplace.checks.report import Report
from inplace.render.picture.diagram import diagram
from inplace.render.picture.svg import to_svg
from inplace.render.words.contract import diagnoses
from inplace.render.words.ledger import ledger_text
from tests.recording import record_text

SCHEMA = json.loads((files("inplace.render.words") / "diagnoses.schema.json").read_text())
LOST = """
x = torch.randn(8, 3)
model, spare = nn.Linear(3, 1), nn.Linear(3, 1)
opt = torch.optim.SGD([*model.parameters(), spare.weight], lr=0.1)
for i in range(6):
    opt.zero_grad()
    model(x).pow(2).mean().backward()
    if i == 3:
        model.zero_grad()
    opt.step()
"""
TOLD = """
gradients: 3 parameters, 6 steps

                line 9        line 9   line 9
                steps 1 to 3  step 4   steps 5 to 6
  model.weight  used          cleared  used
  model.bias    used          cleared  used
  spare.weight  None          None     None

  model.weight, model.bias
    1 to 3, 5 to 6: cleared line 5 → backward line 6 → step line 9
    4: cleared line 5 → backward line 6 → cleared line 8 → step line 9
  spare.weight
    1 to 6: step line 9
"""


def _report(text: str) -> Report:
    return record_text(text).report


def test_text_is_a_table_and_the_lines() -> None:
    """Parameters by steps, and below for each what had happened on which lines, alike steps together."""
    report = _report(LOST)

    assert ledger_text(report.ledger, report.trace) == TOLD.strip("\n")


def test_text_without_gradients_is_a_sentence() -> None:
    """Where nothing went backward, that is said."""
    report = _report("h = torch.ones(2)\nh.add_(1)\n")

    assert ledger_text(report.ledger, report.trace) == "gradients: no backward was recorded"


def test_wide_tables_are_cut_in_two() -> None:
    """Columns that do not fit beside each other go on below, with the names again."""
    report = _report(LOST.replace("i == 3", "i % 2").replace("range(6)", "range(16)"))

    lines = ledger_text(report.ledger, report.trace).splitlines()

    assert max(map(len, lines)) <= 88
    assert sum(line.startswith("  spare.weight  ") for line in lines) > 1


def test_json_fits_the_schema() -> None:
    """The contract has the same: states, marks with their lines, and what is alike said once."""
    value = diagnoses(_report(LOST))

    jsonschema.validate(value, SCHEMA)
    found = value["gradients"]
    assert [(one["first"], one["times"], one["at"]["line"]) for one in found["columns"]] == [
        (1, 3, 9),
        (4, 1, 9),
        (5, 2, 9),
    ]
    assert [cell["state"] for cell in found["parameters"][0]["cells"]] == ["used", "lost", "used"]
    assert [(one["what"], one["at"]["line"]) for one in found["parameters"][0]["cells"][1]["marks"]] == [
        ("cleared", 5),
        ("reached", 6),
        ("cleared", 8),
        ("used", 9),
    ]


def test_json_has_none_without_a_backward() -> None:
    """A program without gradients has no ledger."""
    assert diagnoses(_report("h = torch.ones(2)\nh.add_(1)\n"))["gradients"] is None


def test_the_pane_opens_at_the_most_telling_cell() -> None:
    """A gradient that was cleared before its step says more than one that was never there."""
    pane = diagram(_report(LOST)).gradients

    row, column = pane.opening
    assert (pane.rows[row].name, pane.columns[column].turns) == ("model.weight", "step 4")
    assert pane.states[pane.rows[row].states[column]].word == "cleared"
    assert [(mark.did, mark.spot.line if mark.spot else 0) for mark in pane.chains[pane.rows[row].chains[column]]] == [
        ("cleared", 5),
        ("backward", 6),
        ("cleared", 8),
        ("step", 9),
    ]


def test_what_led_to_many_cells_is_said_once() -> None:
    """Parameters of a column to which the same happened refer to one chain of marks."""
    pane = diagram(_report(LOST)).gradients

    assert len(pane.chains) == 6
    assert pane.rows[0].chains == pane.rows[1].chains


def test_the_still_picture_has_it_where_it_is_telling() -> None:
    """A loop in which every gradient is used needs no table; one in which one is lost has one."""
    calm = LOST.replace("i == 3", "i == 9").replace(", spare.weight", "")

    assert "GRADIENTS" in to_svg(_report(LOST))
    assert "GRADIENTS" not in to_svg(_report(calm))

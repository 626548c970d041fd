"""That benchmarks are found, print what they measured, and compare like with like. No test looks at a clock."""

import importlib
import inspect

import pytest

from benchmarks import collate
from benchmarks.__main__ import discovered
from benchmarks.molecules import NAMED
from benchmarks.table import HEAD, Row, Table, lines, machine
from molfusion.chem.parse import parse


def test_every_module_with_a_table_is_found():
    assert {"views", "collate", "padding", "cached_tokens"} <= set(discovered())
    assert not {"table", "plain", "molecules"} & set(discovered())


@pytest.mark.parametrize("name", discovered())
def test_a_table_takes_quick(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert list(inspect.signature(module.table).parameters) == ["quick"]
    assert module.__doc__


def test_a_row_shows_medians_and_both_ratios():
    rows = [Row("time", [1, 2, 9], [10, 40, 100]), Row("speed", [300, 100, 200], [100, 50, 10], "molecules/s", True)]
    rows.append(Row("one", [3]))
    about, time, speed, one, notes = lines("here", Table("of this", rows, "plain is slow"))
    assert about == "-- here: of this"
    assert time.split() == ["time", "2", "8.3", "40", "94", "20.0x", "12.5x", "ms"]
    assert speed.split() == ["speed", "200", "290", "50", "95", "4.0x", "3.8x", "molecules/s"]
    assert one.split() == ["one", "3", "ms"]
    assert notes.strip() == "plain is slow"
    assert HEAD.index("ratio of medians") + len("ratio of medians") == time.index("20.0x") + len("20.0x")


def test_the_machine_is_told():
    assert "cores" in machine()
    assert "bf16" in machine()
    assert "rdkit 20" in machine()


def test_named_molecules_are_molecules():
    assert all(parse(smiles).GetNumAtoms() > 2 for smiles in NAMED.values())
    assert len(set(NAMED.values())) == len(NAMED)


def test_collate_compares_its_batches(monkeypatch):
    """Runs, and stops where the two sides differ."""
    monkeypatch.setattr(collate, "VIEWS", {"conformer": collate.VIEWS["conformer"]})
    monkeypatch.setattr(collate, "BATCH", 64)
    table = collate.table(quick=True)
    assert [row.step for row in table.rows] == ["collate conformer", "collate conformer, whole batch"]
    assert all(value > 0 for row in table.rows for value in row.ours)
    other = collate.plain.collate
    monkeypatch.setattr(collate.plain, "collate", lambda view, items: {k: v + 1 for k, v in other(view, items).items()})
    with pytest.raises(AssertionError, match="another batch of ConformerView"):
        collate.table(quick=True)

from pathlib import Path

import pytest

from molfusion.data.card import load_card
from molfusion.report.published import beside, published
from molfusion.report.results import Result, Row, Table


def table(task, card, metrics):
    record = {"task": task, "data": {"card": card, "targets": []}}
    return Table("t", "", [], [Row("Mine", [Result(Path(), 0, metrics, record), Result(Path(), 1, metrics, record)])])


@pytest.mark.parametrize("printed", published(), ids=lambda p: p.name)
def test_every_row_is_whole_and_says_where_it_is_from(printed):
    assert printed.source[:2] in {"A:", "B:"}
    assert printed.protocol
    assert all(len(values) == len(printed.cards if printed.by_card else printed.metrics) for values in printed.rows.values())
    for card in printed.cards:
        if card != "3d-moit":  # converted by the user from its own files
            load_card(card)


def test_the_means_that_papers_print_recompute():
    """3D-MoLM's own claim: 6.47 above MoMu-Large in ROUGE-L."""
    rows = next(p.rows for p in published() if "IUPAC" in p.protocol)
    assert rows["3D-MoLM, specialist"][4] - rows["MoMu-Large"][4] == pytest.approx(6.47)


def test_rows_stand_beside_ours_where_the_card_is_the_same():
    found = beside(table("Retrieval", "pcdes", {"test/m2t/R@20": 0.5, "test/t2m/R@20": 0.25})).rows
    assert found[0][1:3] == ["MolCA", "m2t/R@20 0.905, t2m/R@20 0.876"]
    assert found[1][1:3] == ["ours: Mine", "m2t/R@20 0.500, t2m/R@20 0.250"]


def test_other_data_and_other_metrics_are_reasons():
    (row,) = beside(table("Retrieval", "demo", {})).rows
    assert row[1:3] == ["not shown", "theirs are on pcdes, ours on demo"]
    (row,) = beside(table("Retrieval", "pcdes", {"test/score": 1.0})).rows
    assert row[2] == "ours does not report m2t/R@20, t2m/R@20"
    assert beside(table("Pretraining", "demo", {})).rows == []


def test_another_split_of_the_same_card_is_a_reason():
    ours = table("Retrieval", "pcdes", {"test/m2t/R@20": 0.5})
    ours.rows[0].results[0].record["data"]["absent"] = ["test"]
    (row,) = beside(ours).rows
    assert row[1:3] == ["not shown", "ours lacks the card's test file and splits what is left"]


def test_columns_that_are_cards():
    """One line says that none of them is ours; on one of them, its column is shown."""
    (row,) = [r for r in beside(table("Property", "demo_qm9", {})).rows if "classification" in r[0]]
    assert row[2] == "theirs are on bbbp, tox21, sider, clintox, bace, ours on demo_qm9"
    shown = {r[1]: r[2] for r in beside(table("Property", "bace", {"test/score": 0.8})).rows}
    assert shown["MoleBLEND"] == "score 0.837"
    assert shown["ours: Mine"] == "score 0.800"

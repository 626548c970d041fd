"""Examples: the right items, the right drawings, nothing of a text becomes markup."""

import random

from molfusion.report.gallery import gallery
from molfusion.report.results import load
from tests.report.fakes import asked, made, run, said, sweep
from tests.report.helpers import SCRIPT, Page

SMILES = {"a": "CCO", "b": "CCN", "c": "CCO"}


def table(folder, task, rows, metrics=None):
    """Of {row: its predictions}."""
    sweep(folder, {"t": {row: {} for row in rows}})
    for row, predictions in rows.items():
        home = folder / "t" / (f"baseline-{row[1:-1]}" if row[0] == "(" else f"{row}/0")
        run(home, task, metrics or {"test/score": 1.0}, predictions)
    return load(folder).tables[0]


def found(order, better, text="What?"):
    """Both directions of three molecules, of which each text finds `order` first."""
    whole = [asked(k, way, order, s, text, better) for k, s in SMILES.items() for way in ("m2t", "t2m")]
    return [*whole, asked("a", "t2m", None, None, None) | {"scope": "3d", "vector": None}]


def test_what_a_text_finds(tmp_path):
    grid = gallery(table(tmp_path, "Retrieval", {"GIN": found(["b", "a", "c"], 1, SCRIPT), "UniMol": found(["c", "b", "a"], 0)}))
    assert grid.title == "What was found"
    assert SCRIPT not in grid.body
    items = str(grid.body).split("<details")[1:]
    assert len(items) == 3
    order = random.Random(0).sample(["a", "b", "c"], 3)
    first, second = items[order.index("a")].split("<dt>")[1:]
    assert "right one at 2 of 3" in first
    assert "right one at 1 of 3" in second
    # each row's three drawings, in their order: the right one is marked by more than a colour
    assert [c.split("</figcaption>")[0] for c in first.split("<figcaption>")[1:]] == [
        "1.", '<strong aria-hidden="true">✓</strong> 2. right', "3. same graph, another record",
    ]  # fmt: skip
    assert second.count('class="mol right"') == 1
    drawn = [a for tag, a in Page(str(grid.body)).tags if tag == "symbol"]
    assert len(drawn) == 2  # CCO and CCN, once each, however often they are shown
    used = {a["href"][1:] for a in Page(str(grid.body)).named("use")}
    assert used == {a["id"] for a in drawn}


def test_a_guess_is_no_answer(tmp_path):
    guess = [row | {"tied": 2} for row in found(["a", "b", "c"], 0)]
    grid = gallery(table(tmp_path, "Retrieval", {"GIN": found(["b", "a", "c"], 1), "Guess": guess}))
    assert "Guess" not in grid.body


def test_runs_that_kept_nothing_to_show_say_so(tmp_path):
    kept = {"id", "group", "scope", "direction", "pool", "better", "tied", "candidates"}
    old = [{k: v for k, v in row.items() if k in kept} for row in found(["a"], 0)]
    grid = gallery(table(tmp_path, "Retrieval", {"GIN": old}))
    assert "Run again" in grid.body
    assert "<details" not in grid.body


def test_captions_side_by_side(tmp_path):
    rows = {"A": [said("x", "It is <b>bold</b>.", target="An alcohol.")], "B": [said("x", "No."), said("y", None)]}
    grid = gallery(table(tmp_path, "Captioning", rows))
    body = str(grid.body)
    assert body.count("<details") == 1  # y was not said by all
    assert "It is &lt;b&gt;bold&lt;/b&gt;." in body
    assert "<strong>Reference.</strong> An alcohol." in body
    assert body.index("<dt>A") < body.index("<dt>B")


def test_molecules_and_what_is_none(tmp_path):
    samples = [made("x", s, v, i, prompt="An alcohol.") for i, (s, v) in enumerate([("CCO", 1.0), ("x<(", 0.0), (None, 0.0)])]
    best_last = made("x", "CCCO", 1.0, 3, prompt="An alcohol.")
    grid = gallery(table(tmp_path, "Generation", {"(nearest)": [made("x", "C", 0.25, prompt="")], "A": [best_last, *samples]}))
    body = str(grid.body)
    for said_ in ("<q>An alcohol.</q>", "MACCS 1.00", "no molecule: x&lt;(", '<span class="none">nothing</span>', "MACCS 0.25"):
        assert said_ in body
    assert 'aria-label="CCCO"' not in body  # the first three samples, not the best


def test_items_do_not_depend_on_what_came_out(tmp_path):
    ids = [f"m{i}" for i in range(50)]
    chosen = []
    for folder, score in (("one", 0.0), ("two", 1.0)):
        grid = gallery(table(tmp_path / folder, "Generation", {"A": [made(i, "CCO", score, prompt=f"Prompt {i}.") for i in ids]}))
        chosen.append([i for i in ids if f"Prompt {i}." in grid.body])
        assert "fixed seed (0)" in grid.note
    assert len(chosen[0]) == 4
    assert chosen[0] == chosen[1]


def test_numbers_have_no_gallery(tmp_path):
    rows = [{"id": "x", "group": "x", "target": "gap", "predicted": 1.0, "measured": 2.0}]
    grid = gallery(table(tmp_path, "Property", {"A": rows}))
    assert (grid.body, grid.note, grid.rows) == ("", "", [])

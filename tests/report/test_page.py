"""The report of one small sweep whose every name would break a careless page."""

import html
import json
import re
import shutil
import statistics

import pytest

from molfusion.report.grid import Grid, as_markdown
from molfusion.report.page import write as report
from tests.report.helpers import IMAGE, MARKS, SCRIPT, TARGET, csv_tables, markdown_tables, squeezed


def recorded(folder):
    """(table, row) -> metrics of each seed, straight from the runs."""
    found = {}
    for cell in json.loads((folder / "plan.json").read_text())["cells"]:
        path = folder / cell["folder"] / "metrics.json"
        if path.is_file():
            found.setdefault((cell["table"], cell["row"]), []).append(json.loads(path.read_text())["metrics"])
    return found


@pytest.mark.slow
def test_page_markdown_and_csv_say_the_same(made, page):
    tables = csv_tables(made)
    parts = ("Cost", "Lift", "Published results", "Results", "Which rows differ")
    headings = {f"{t}-{part.lower().replace(' ', '-')}": f"{t}: {part}" for t in ("property", "retrieval") for part in parts} | {
        "does-it-help": "Does it help?: Does it help?",
        "not-run-and-why": "Not run, and why: Not run, and why",
        "machine-and-versions": "Provenance: Machine and versions",
        "data": "Provenance: Data",
        "each-row-again": "Each row again: Each row again",
    }
    written = markdown_tables((made / "report.md").read_text())
    assert set(tables) == set(headings)
    assert set(written) == set(headings.values())
    assert len(page.tables) == len(headings)
    for name, rows in tables.items():
        assert squeezed(written[headings[name]]) == squeezed(rows)
        shown = [[cell or "row" for cell in rows[0]], *rows[1:]]
        assert squeezed(shown) in [squeezed(table) for table in page.tables]


@pytest.mark.slow
def test_numbers_are_those_of_the_runs(made):
    tables, runs = csv_tables(made), recorded(made)
    assert set(runs) == {(table, row) for table in ("retrieval", "property") for row in (SCRIPT, MARKS, IMAGE)}
    for (table, row), seeds in runs.items():
        head, *body = tables[f"{table}-results"]
        (cells,) = [cells for cells in body if cells[0] == row]
        metrics = ["m2t/R@1", "t2m/R@1", "score"] if table == "retrieval" else [f"{TARGET}/MAE", "score"]
        assert head[0] == ""
        assert len(head) >= 1 + len(metrics)
        for metric, cell in zip(metrics, cells[1:], strict=False):  # further columns are derived from these
            values = [found[f"test/{metric}"] for found in seeds]
            told, low, high = re.fullmatch(r"(.+) \[(.+), (.+)\]", cell).groups()
            assert told == f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
            assert float(low) <= float(told.split()[0]) <= float(high)
    assert tables["property-results"][0][1] == f"{TARGET}/MAE ({SCRIPT})"  # with its unit


@pytest.mark.slow
def test_baselines_and_missing_rows_are_shown(made, page):
    tables = csv_tables(made)
    retrieval = {row[0]: row[1:] for row in tables["retrieval-results"]}
    assert retrieval["(chance)"][:2] == ["0.250 [0.250, 0.250]"] * 2
    assert retrieval["(chance)"][3] == "× 1.0 [1.0, 1.0]"
    assert retrieval["(ridge)"][0] not in {"", "n/a"}
    assert {"(mean)", "(ridge)"} <= {row[0] for row in tables["property-results"]}
    for table in ("retrieval-results", "property-results"):
        rows = {row[0]: row[1:] for row in tables[table]}
        assert set(rows["Alone"][:-1]) == set(rows["Fails"][:-1]) == {"n/a"}
        assert rows[""][-1] == "not run, and why"
    assert tables["retrieval-results"][0][-1] == tables["retrieval-cost"][0][-1] == "not run, and why"
    assert retrieval["Alone"][-1].startswith("n/a: Fingerprint does not align itself")
    assert retrieval["Fails"][-1].startswith("failed: ValueError")
    assert retrieval[IMAGE][-1] == retrieval["(ridge)"][-1] == ""
    (missing,) = [t for t in page.tables if t[0] == ["table", "row", "seed", "status", "reason"]]
    reasons = {(row[0], row[1], row[2]): (row[3], row[4]) for row in missing[1:]}
    assert len(missing) == 1 + 2 * 2 * 2
    for seed in "01":
        assert reasons["retrieval", "Alone", seed] == (
            "n/a", "Fingerprint does not align itself with text: give Retrieval a `text` encoder",
        )  # fmt: skip
        failed = f"ValueError: weights names {SCRIPT + '|'!r}; the losses are contrast"
        assert reasons["retrieval", "Fails", seed] == ("failed", failed)
        assert reasons["property", "Fails", seed] == ("n/a", f"needs Fails, which failed: {failed}")
        assert reasons["property", "Alone", seed] == ("n/a", "needs Alone, which is n/a")


@pytest.mark.slow
def test_lifts_are_over_part_and_control(made):
    (head, *rows) = csv_tables(made)["retrieval-lift"]
    assert head == ["fusion", "metric", "against", "lift", "verdict", "parameters", "steps"]
    assert [(r[0], r[1], r[2]) for r in rows] == [
        (IMAGE, metric, against)
        for metric in ("m2t/R@1", "t2m/R@1", "score")
        for against in (f"{SCRIPT} (best part)", f"{MARKS} (matched control)")
    ]
    runs = recorded(made)
    for row in rows:
        other = SCRIPT if "part" in row[2] else MARKS
        pairs = zip(runs["retrieval", IMAGE], runs["retrieval", other], strict=True)
        lift = statistics.mean(fused[f"test/{row[1]}"] - part[f"test/{row[1]}"] for fused, part in pairs)
        assert float(row[3].split()[0]) == pytest.approx(lift, abs=6e-4)
        low, high = (float(x) for x in re.findall(r"[+-][\d.]+", row[3])[1:])
        sure = row[1] != "score" and not low <= 0 <= high  # of four molecules the test of all pairs says nothing
        assert row[4] == ("not distinguishable" if not sure else "better" if low > 0 else "worse")
    assert {r[6] for r in rows} == {"× 2.00", "× 1.00"}  # over its part it trained twice as long, as its control did


@pytest.mark.slow
def test_the_page_needs_nothing_but_itself(made, page):
    text = (made / "report.html").read_text()
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "img", "base", "form", "audio", "video"}
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "background"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in text
    assert set(re.findall(r"url\(.", text)) <= {"url(#"}
    (policy,) = [m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


@pytest.mark.slow
def test_nothing_of_a_name_becomes_markup(made, page):
    assert page.title == SCRIPT
    assert len(page.named("script")) == 1
    assert not page.named("b")
    assert not [a for _, a in page.tags if a.get("id") == "owned"]
    text = (made / "report.html").read_text()
    for hostile in (SCRIPT, IMAGE, TARGET):
        assert hostile not in text
    assert "49" not in [cell for table in page.tables for row in table for cell in row]  # no template in a template
    told = (made / "report.md").read_text()
    for line in told.splitlines():
        code = line.startswith("`")
        assert code or "<" not in line
        assert code or "](" not in line
    assert SCRIPT in html.unescape(told)


@pytest.mark.slow
def test_figures_show_labels_as_they_are(made):
    drawings = re.findall(r'<figure class="plot".*?</figure>', (made / "report.html").read_text(), re.DOTALL)
    assert len(drawings) == 5  # overview; results and curves of each table
    for label in (SCRIPT, IMAGE, MARKS):  # with svg.fonttype none a label stays text, and $ begins no formula
        assert any(" ".join(html.escape(label, quote=False).split()) in d for d in drawings), label


@pytest.mark.slow
def test_what_a_keyboard_and_a_screen_reader_need(page):
    tables, captions = page.named("table"), page.named("caption")
    assert len(captions) == len(tables) == len(page.tables)
    for rows in page.named("th"):
        assert rows["scope"] in {"col", "row"}
    boxes = [a for tag, a in page.tags if a.get("class") in {"scroll", "plot"}]
    assert len(boxes) == len(tables) + 5
    for box in boxes:  # what scrolls can be reached and has a name
        assert box["tabindex"] == "0"
        assert box["aria-label"]
    assert all(svg.get("aria-label") or svg.get("role") == "img" or svg.get("aria-hidden") for svg in page.named("svg"))
    by_content = re.compile(r"([mp]|C\w+_)[0-9a-f]{8,}")  # matplotlib's: what has the same is the same
    ids = [a["id"] for _, a in page.tags if "id" in a and not by_content.fullmatch(a["id"])]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for a in page.named("a")]
    assert links[0] == "content"
    assert set(links) <= set(ids)


@pytest.mark.slow
def test_examples_are_the_same_for_all_rows(made):
    text = (made / "report.html").read_text()
    body = text[text.index("What was found") :]
    examples = body[: body.index("<h3>")].split("<details")[1:]
    assert len(examples) == 4  # all of the test split
    for example in examples:
        assert example.count("<dt>") == 4  # the ridge and three rows; chance has nothing to show
        assert example.count("<figure") == 1 + 4 * 3


@pytest.mark.slow
def test_written_again_it_is_the_same(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    report(copy)
    once = (copy / "report.html").read_bytes()
    report(copy)
    assert (copy / "report.html").read_bytes() == once
    assert (copy / "report.md").read_text() == (made / "report.md").read_text().replace(str(made), str(copy))


@pytest.mark.slow
def test_provenance_names_the_data_and_what_is_stale(made, tmp_path):
    (head, data) = csv_tables(made)["data"]
    told = dict(zip(head, data, strict=True))
    assert (told["title"], told["licence"], told["cite"]) == (SCRIPT, IMAGE, MARKS)
    assert (told["records"], told["left out"]) == ("train 16, val 4, test 4", "0")
    machine = dict(csv_tables(made)["machine-and-versions"])
    assert {"processor", "cores", "device", "python", "molfusion", "source", "torch", "rdkit"} <= set(machine)
    stale = "made by other code than is installed now: run again to refresh"
    assert stale not in machine
    copy = shutil.copytree(made, tmp_path / "copy")
    path = next((copy / "retrieval").glob("pipe*/*/metrics.json"))
    path.write_text(re.sub(r'"source_digest": "\w+"', '"source_digest": "0123"', path.read_text()))
    report(copy)
    again = dict(csv_tables(copy)["machine-and-versions"])
    assert again[stale] == f"retrieval/{MARKS}"
    assert set(again["source"].split("; ")) == {"0123", machine["source"]}


@pytest.mark.slow
def test_baselines_alone_are_a_report(made, tmp_path):
    """Every run failed: there are still the rows that were to be beaten, and the reasons."""
    copy = shutil.copytree(made, tmp_path / "copy")
    shutil.rmtree(copy / "tables")
    for path in copy.rglob("seed*/metrics.json"):
        path.unlink()
    report(copy)
    tables = csv_tables(copy)
    for table, baselines in (("retrieval", ["(chance)", "(ridge)"]), ("property", ["(mean)", "(ridge)"])):
        _, *rows = tables[f"{table}-results"]
        assert [row[0] for row in rows][:2] == baselines
        assert all("n/a" not in row for row in rows[:2])
        assert all(set(row[1:-1]) == {"n/a"} and row[-1] for row in rows[2:])
    assert "4 molecules are ranked" in (copy / "report.html").read_text()


# -- parts -------------------------------------------------------------------------------------------


def test_markdown_keeps_a_cell_a_cell():
    grid = Grid("t", ["a|b", "c"], [["x\ny", "back\\|slash"], ["<i>", "&lt;"]])
    assert as_markdown(grid).splitlines() == [
        "| a\\|b | c |",
        "| --- | --- |",
        "| x y | back\\\\\\|slash |",
        "| &lt;i> | &amp;lt; |",
    ]

"""The report as a browser shows it, after its script has run."""

import html
import json
import shutil
import subprocess

import pytest

from molfusion.report.page import write
from tests.report.devtools import Chromium
from tests.report.fakes import run, sweep
from tests.report.helpers import SCRIPT, Page, squeezed

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]


def dumped(path):
    """The document after scripts have run."""
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", path.resolve().as_uri()]
    return Page(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def owned(found):
    return "OWNED" in found.title.removeprefix(SCRIPT) or any(a.get("id") == "owned" for _, a in found.tags)


def test_in_a_browser(made, page, tmp_path):
    found = dumped(made / "report.html")
    assert not owned(found)
    assert found.title == SCRIPT
    assert [squeezed(t) for t in found.tables] == [squeezed(t) for t in page.tables]
    assert all(len(t) > 1 for t in found.tables[:-1])
    # The same page with one cell unescaped is caught: the check can fail.
    text = (made / "report.html").read_text()
    cell = '<th scope="row">' + html.escape(SCRIPT).replace("&#x27;", "&#39;")
    assert cell in text
    careless = tmp_path / "careless.html"
    careless.write_text(text.replace(cell, f'<th scope="row">{SCRIPT}', 1))
    assert owned(dumped(careless))


def test_a_click_sorts(made, page, tmp_path):
    clicked = tmp_path / "clicked.html"
    click = '<script>document.querySelectorAll("table.sortable")[1].querySelectorAll("button")[3].click()</script>'
    clicked.write_text((made / "report.html").read_text().replace("</body>", click + "</body>"))
    found = dumped(clicked)
    assert [a.get("aria-sort") for a in found.named("th") if "aria-sort" in a] == ["descending"]
    before, after = page.tables[1], found.tables[1]  # after the answers
    assert sorted(before) == sorted(after)
    numbers = [float(row[3].split()[0]) for row in after[1:] if row[3] != "n/a"]
    assert numbers == sorted(numbers, reverse=True)
    assert [row[3] for row in after[-2:]] == ["n/a", "n/a"]  # what has no number comes last


MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, .plot, .away, svg")
  && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName);
const focused = document.querySelector(".skip"); focused.focus();
parent.document.title = JSON.stringify({window: innerWidth, page: document.documentElement.scrollWidth, wide,
  scrolls: [...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth).length,
  skip: focused.getBoundingClientRect().left});
</script></body>"""


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_does_not_scroll_sideways(made, tmp_path, width):
    path = tmp_path / "measured.html"
    # In a frame: a window of its own does not get that narrow.
    inside = html.escape((made / "report.html").read_text().replace("</body>", MEASURE))
    path.write_text(f'<title></title><iframe style="width: {width}px; height: 800px; border: 0" srcdoc="{inside}"></iframe>')
    found = json.loads(dumped(path).title)
    assert found["window"] == width
    assert found["page"] <= width
    assert found["wide"] == []
    assert found["scrolls"] >= (3 if width == 360 else 0)  # wide tables do, in boxes of their own
    assert found["skip"] >= 0  # the link that skips the head shows itself when it is reached


FOCUSED = """(() => {
  const e = document.activeElement, table = e.closest("table.sortable");
  const tables = [...document.querySelectorAll("table.sortable")];
  return {tag: e.tagName, text: e.textContent.trim(), outline: getComputedStyle(e).outlineStyle,
    table: tables.indexOf(table), column: table && [...table.querySelectorAll("thead button")].indexOf(e),
    sort: e.parentElement && e.parentElement.getAttribute("aria-sort")};
})()"""
COLUMN = """[...document.querySelectorAll("table.sortable")[1].tBodies[0].rows].map(r => r.cells[3].textContent.trim())"""


@pytest.fixture
def chromium():
    with Chromium(BROWSER) as browser:
        yield browser


def tabbed(browser, wanted, most=200):
    """Tab until the focus is on what is wanted, each stop marked by an outline; what it passed, and where it ended."""
    passed = []
    for _ in range(most):
        browser.press("Tab")
        passed.append(browser.value(FOCUSED))
        assert passed[-1]["outline"] != "none", passed[-1]
        if wanted(passed[-1]):
            return passed
    raise AssertionError(f"not reached in {most} tabs")


def numbers(cells):
    return [float(cell.split()[0]) for cell in cells if cell != "n/a"]


def test_the_keyboard_reaches_and_sorts(made, chromium):
    """Tab to the skip link, to every link and table, to the head of a column; Enter and Space sort by it."""
    chromium.open(made / "report.html")
    before = chromium.value(COLUMN)
    passed = tabbed(chromium, lambda f: f["table"] == 1 and f["column"] == 3)
    assert (passed[0]["tag"], passed[0]["text"]) == ("A", "Skip to the results")
    assert {"A", "FIGURE", "DIV", "BUTTON"} <= {f["tag"] for f in passed}  # plots and tables scroll by arrow keys
    assert chromium.value(COLUMN) == before  # looking at it changes nothing
    for key, sort, backwards in (("Enter", "descending", True), ("Space", "ascending", False), ("Enter", "descending", True)):
        chromium.press(key)
        assert chromium.value(FOCUSED)["sort"] == sort
        after = chromium.value(COLUMN)
        assert numbers(after) == sorted(numbers(before), reverse=backwards)
    assert numbers(before) != numbers(after)
    chromium.press("Tab")
    assert chromium.value(FOCUSED)["column"] == 4  # nothing holds the focus


def test_enter_skips_and_opens(made, chromium):
    chromium.open(made / "report.html")
    chromium.press("Tab")
    chromium.press("Enter")
    assert chromium.value("document.activeElement.id") == "content"
    tabbed(chromium, lambda f: f["tag"] == "SUMMARY")
    is_open = "document.activeElement.parentElement.open"
    before = chromium.value(is_open)
    chromium.press("Enter")
    assert chromium.value(is_open) is not before
    chromium.press("Space")
    assert chromium.value(is_open) is before


CLIPPED = """[...document.querySelectorAll("main *, header *")].filter(e => !e.closest("svg, .away")
  && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + ": " + e.textContent.trim().slice(0, 60))"""
A4, LETTER = (718, 1047), (740, 980)  # CSS pixels between margins of 1 cm


@pytest.mark.parametrize("paper", [A4, LETTER], ids=["A4", "letter"])
def test_no_table_is_clipped_on_paper(made, chromium, paper):
    chromium.open(made / "report.html")
    chromium.paper(*paper)
    assert chromium.value("[innerWidth, matchMedia('print').matches]") == [paper[0], True]
    assert chromium.value(CLIPPED) == []


def test_a_table_of_many_columns_fits_on_paper(tmp_path, chromium):
    """Six targets by three metrics, which a table without a headline shows all, with seeds and long names of rows."""
    rows = ["CrossAttention(DeepEncoder, E3FP), pretrained", "MoleBLEND (shortest path)"]
    sweep(tmp_path, {"property": {row: {} for row in rows}}, seeds=(0, 1))
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["tables"][0]["headline"] = []
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    names = [f"test/{target}/{metric}" for target in ("gap", "mu", "alpha", "r2", "cv", "log_solubility")
             for metric in ("MAE", "RMSE", "R2")]  # fmt: skip
    for row in rows:
        for seed in (0, 1):
            metrics = dict.fromkeys([*names, "test/score"], 1234.5 + seed)
            run(tmp_path / "property" / row / str(seed), "Property", metrics, seed=seed)
    chromium.open(write(tmp_path))
    chromium.paper(*A4)
    assert chromium.value("Math.max(...[...document.querySelectorAll('tr')].map(r => r.cells.length))") == 20
    assert chromium.value(CLIPPED) == []


def test_it_prints(made, tmp_path):
    assert BROWSER is not None
    out = tmp_path / "printed.pdf"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={out}", (made / "report.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    pages = out.read_bytes().count(b"/Type /Page\n") or out.read_bytes().count(b"/Type /Page")
    assert pages >= 3


BEYOND = """((inside) => [...document.querySelectorAll(inside)].map(e => [e, e.getBoundingClientRect()])
  .filter(([e, box]) => !box.width || box.left < 0 || box.right > innerWidth + 1)
  .map(([e]) => e.tagName + ": " + e.textContent.trim().slice(0, 60)))"""
LABELS = """[...document.querySelector("#answers").closest("section").querySelector("tbody tr").cells]
  .map(e => getComputedStyle(e, "::before").content.replaceAll('" "', ""))"""


def test_the_first_answer_is_seen_on_a_phone(made, chromium):
    """All of the overview and every cell of the first table, each under the name of its column; the keyboard still sorts."""
    chromium.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    chromium.open(made / "report.html")
    assert chromium.value("innerWidth") == 390
    assert chromium.value("document.querySelectorAll('.panels > svg').length") == 2  # a table each
    first = "[aria-labelledby=answers]"
    assert chromium.value(f"{BEYOND}('{first} .panels, {first} .panels > *, {first} .panels > svg text')") == []
    assert chromium.value(f"{BEYOND}('{first} th, {first} td:not(:empty)')") == []
    assert chromium.value(LABELS)[:3] == ["none", '"on: "', '"over its best part: "']
    tabbed(chromium, lambda f: f["table"] == 0 and f["column"] == 1)
    chromium.press("Enter")
    assert chromium.value(FOCUSED)["sort"] == "descending"


def test_panels_stand_beside_each_other_where_there_is_room(tmp_path, chromium):
    """Two encoders in four tables: on a screen panels in rows of several, on a phone one below the other."""
    tables = {name: {"A": {}, "B": {}} for name in ("one", "two", "three", "four")}
    target = {"name": "y", "unit": "", "kind": "regression", "spread": 1.0}
    for table in tables:
        for row in "AB":
            rows = [{"id": i, "group": i, "target": "y", "predicted": 1.0, "measured": 0.0} for i in "ab"]
            run(tmp_path / table / row / "0", "Property", {"val/score": -1.0, "test/score": -1.0}, rows, targets=[target])
    page = write(sweep(tmp_path, tables))
    lefts = "new Set([...document.querySelectorAll('.panels > svg')].map(e => Math.round(e.getBoundingClientRect().left))).size"
    for width, columns in ((390, 1), (1280, 3)):
        chromium.call("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 600)
        chromium.open(page)
        assert chromium.value("document.querySelectorAll('.panels > svg').length") == 4
        assert chromium.value(lefts) == columns
        assert chromium.value(f"{BEYOND}('.panels > *, [aria-labelledby=answers] th, [aria-labelledby=answers] td')") == []

"""The report as a browser shows it, after its script has run."""

import html
import json
import shutil
import subprocess

import pytest

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


def test_it_prints(made, tmp_path):
    assert BROWSER is not None
    out = tmp_path / "printed.pdf"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={out}", (made / "report.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    pages = out.read_bytes().count(b"/Type /Page\n") or out.read_bytes().count(b"/Type /Page")
    assert pages >= 3

"""The report as a browser shows it, after its script has run."""

import html
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
    cell = "<td>" + html.escape(SCRIPT).replace("&#x27;", "&#39;")
    assert cell in text
    careless = tmp_path / "careless.html"
    careless.write_text(text.replace(cell, f"<td>{SCRIPT}", 1))
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

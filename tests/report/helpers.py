"""Reading a report back, without the code that wrote it."""

import csv
import html
from html.parser import HTMLParser

SCRIPT = "<script>document.title='OWNED';document.documentElement.id='owned'</script>"
IMAGE = '"><img src=x onerror="document.documentElement.id=\'owned\'">'
MARKS = "pipe | tick ` back\\| [x](javascript:alert(1)) ![y](http://z.example/p.png) &lt;b&gt; $\\frac$ {{ 7 * 7 }}"
TARGET = "<b id='owned'>gap|"

VOID = {"meta", "link", "img", "br", "hr", "input", "source"}


class Page(HTMLParser):
    """Tags with their attributes, the title, and the text of every table cell."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.title, self.inside = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "svg" in self.inside:
            return
        if {"td", "th"} & set(self.inside):
            self.tables[-1][-1][-1] += data
        elif self.inside[-1:] == ["title"]:
            self.title += data

    def named(self, tag):
        return [attrs for found, attrs in self.tags if found == tag]


def markdown_tables(text):
    """Title of the section before it -> rows of cells, backslash escapes and entities undone."""
    tables, title = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        if line.startswith(("## ", "### ")):
            title = f"{section}: {line.lstrip('# ')}"
        elif line.startswith("|") and not set(line) <= set("| -"):
            tables.setdefault(title, []).append(_cells(line))
    return tables


def _cells(line):
    cells, escaped = [""], False
    for character in line:
        if escaped or character not in "|\\":
            cells[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            cells.append("")
    return [html.unescape(cell.strip()) for cell in cells[1:-1]]


def csv_tables(folder):
    """Name of the file -> its rows."""
    found = {}
    for path in sorted((folder / "tables").glob("*.csv")):
        with path.open(newline="") as file:
            found[path.stem] = list(csv.reader(file))
    return found


def squeezed(rows):
    """Cells as a reader sees them: runs of white space are one space."""
    return [[" ".join(cell.split()) for cell in row] for row in rows]

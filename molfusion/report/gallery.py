"""Examples: what was retrieved, said and made for a few test items, the same for all rows of a table.

Which items are shown is drawn by a fixed seed from all that every row was asked, whatever came out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from molfusion.chem.draw import SIZE, drawn
from molfusion.report.grid import Grid
from molfusion.report.results import Table
from molfusion.sweep.plan import slug

_ITEMS, _SHOWN = 4, 3
_SEED = 0
_WIDEST = 400  # characters of a text that are shown


@dataclass
class Picture:
    """One molecule, drawn, with a line below it."""

    smiles: str
    drawing: Markup
    caption: str = ""
    right: bool = False


@dataclass
class Answer:
    """What one row gave: molecules or a text."""

    row: str
    pictures: list[Picture] = field(default_factory=list)
    text: str = ""
    remark: str = ""


@dataclass
class Item:
    """What was asked, what would be right, and what each row answered."""

    asked: str
    reference: Picture | None
    wanted: str  # the right text
    answers: list[Answer]

    @property
    def short(self) -> str:
        """The beginning of the question."""
        return cut(self.asked, 90)

    @property
    def single(self) -> bool:
        """Whether rows stand side by side: a picture each, and no text."""
        return all(len(answer.pictures) == 1 and not answer.text for answer in self.answers)


class Album:
    """Drawings, each in the page once and shown wherever it is used."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: dict[str, str | None] = {}

    def picture(self, smiles: str | None, caption: str = "", right: bool = False) -> Picture:
        """A molecule; of a string that is none, the string."""
        text = smiles or ""
        if text not in self.known:
            self.known[text] = drawn(text)
        if self.known[text] is None:
            return Picture(text, Markup(), caption, right)
        key = f"{self.name}-{list(self.known).index(text)}"
        use = '<svg role="img" viewBox="0 0 {} {}" aria-label="{}"><use href="#{}"/></svg>'
        return Picture(text, Markup(use).format(*SIZE, text, key), caption, right)

    @property
    def symbols(self) -> Markup:
        """What the pictures refer to; takes no room itself."""
        shapes = [
            Markup('<symbol id="{}-{}" viewBox="0 0 {} {}">{}</symbol>').format(self.name, i, *SIZE, Markup(inside))
            for i, inside in enumerate(self.known.values())
            if inside is not None
        ]
        hidden = '<svg width="0" height="0" style="position:absolute" aria-hidden="true">{}</svg>'
        return Markup(hidden).format(Markup("").join(shapes)) if shapes else Markup()


Rows = list[dict[str, Any]]  # of one run's predictions for one item


def gallery(table: Table) -> Grid:
    """Examples of a table, by what its predictions hold; nothing for numbers."""
    held = set().union(*(r.results[0].predictions for r in table.rows if r.results)) if table.rows else set()
    for needs, title, make in _KINDS:
        if needs <= held:
            return make(table, title)
    if "direction" in held:
        said = "Not drawn: these runs were made before it was kept which molecules were found. Run again to see them."
        return Grid(_KINDS[0][1], [], [], body=Markup("<p>{}</p>").format(said))
    return Grid("", [], [])


def _retrieved(table: Table, title: str) -> Grid:
    """The text of each item, and the molecules that came first."""
    by_row = _by_id(table, lambda p: p["direction"] == "t2m" and p["pool"] == "all" and p["scope"] == "all")
    by_row = {label: of for label, of in by_row.items() if any(rows[0].get("found") is not None for rows in of.values())}
    described = {key: rows[0] for of in by_row.values() for key, rows in of.items() if rows[0].get("caption")}
    album, items = Album(f"drawn-{slug(table.name)}"), []
    for key in _chosen(table, {"": described, **by_row}):
        right = str(described[key]["smiles"])
        answers = []
        for label, of in _answered(by_row, key):
            (row,) = of
            if row["tied"] + 1 == row["candidates"]:
                continue  # a guess: all are first
            pictures = []
            for place, other in enumerate(list(row["found"])[:_SHOWN], 1):
                smiles = str(described[other]["smiles"]) if other in described else ""
                same = "right" if other == key else "same graph, another record" if smiles == right else ""
                pictures.append(album.picture(smiles, f"{place}. {same}".strip(), other == key))
            rank = 1 + row["better"] + row["tied"] / 2
            answers.append(Answer(label, pictures, remark=f"right one at {rank:g} of {row['candidates']}"))
        items.append(Item(cut(str(described[key]["caption"])), album.picture(right, "wanted"), "", answers))
    note = f"For each text the {_SHOWN} molecules that came first in the whole test split. {_how(table, len(items))}"
    return _rendered(title, note, items, album)


def _said(table: Table, title: str) -> Grid:
    """The molecule of each item, its text, and what was said."""
    by_row = _by_id(table, lambda p: bool(p["text"]))
    album, items = Album(f"drawn-{slug(table.name)}"), []
    for key in _chosen(table, by_row):
        answered = _answered(by_row, key)
        first = answered[0][1][0]
        answers = [Answer(label, text=cut(str(of[0]["text"]))) for label, of in answered]
        asked, wanted = cut(str(first["prompt"] or "")), cut(str(first["target"]))
        items.append(Item(asked, album.picture(str(first["smiles"])), wanted, answers))
    return _rendered(title, f"Texts as generated, cut at {_WIDEST} characters. {_how(table, len(items))}", items, album)


def _made(table: Table, title: str) -> Grid:
    """The text or molecule of each item, and the first molecules that were made for it."""
    by_row = _by_id(table, lambda p: True)
    album, items = Album(f"drawn-{slug(table.name)}"), []
    for key in _chosen(table, by_row):
        rows = _answered(by_row, key)
        asked = next((str(of[0]["prompt"]) for _, of in rows if of[0].get("prompt")), "")
        answers = []
        for label, of in rows:
            samples = sorted(of, key=lambda row: int(row["sample"]))[:_SHOWN]
            said = [f"MACCS {row['maccs']:.2f}" + (", exact" if row["exact"] else "") for row in samples]
            pictures = [album.picture(s["generated"], t, bool(s["exact"])) for s, t in zip(samples, said, strict=True)]
            answers.append(Answer(label, pictures))
        items.append(Item(cut(asked), album.picture(str(rows[0][1][0]["smiles"]), "wanted"), "", answers))
    note = (
        f"The first {_SHOWN} samples of each row, not the best; below them the MACCS Tanimoto similarity with the molecule that"
        f" was wanted. {_how(table, len(items))}"
    )
    return _rendered(title, note, items, album)


_KINDS: list[tuple[set[str], str, Callable[[Table, str], Grid]]] = [
    ({"direction", "found", "caption"}, "What was found", _retrieved),
    ({"target", "text"}, "What was said", _said),
    ({"generated"}, "What was made", _made),
]


def _by_id(table: Table, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, dict[str, Rows]]:
    """Label -> item -> its predictions, of the first seed of every row that has any."""
    out: dict[str, dict[str, Rows]] = {}
    for row in (row for row in table.rows if row.results):
        of: dict[str, Rows] = {}
        columns = {k: v for k, v in row.results[0].predictions.items() if k != "vector"}
        for values in zip(*columns.values(), strict=True):
            prediction = dict(zip(columns, values, strict=True))
            if wanted(prediction):
                of.setdefault(str(prediction["id"]), []).append(prediction)
        if of:
            out[row.label] = of
    return out


def _chosen(table: Table, by_row: Mapping[str, Collection[str]]) -> list[str]:
    """A few of the items that all rows were asked; baselines may have no answer to some."""
    trained = [of for label, of in by_row.items() if (row := table.row(label)) is None or not row.baseline]
    asked = trained or list(by_row.values())
    common = sorted(set.intersection(*(set(of) for of in asked))) if asked else []
    return random.Random(_SEED).sample(common, min(_ITEMS, len(common)))


def _answered(by_row: Mapping[str, Mapping[str, Rows]], key: str) -> list[tuple[str, Rows]]:
    """Who said something of one item."""
    return [(label, of[key]) for label, of in by_row.items() if key in of]


def _how(table: Table, items: int) -> str:
    first = sorted({str(r.results[0].seed) for r in table.rows if r.results and r.results[0].seed is not None})
    seeds = f", training seed {', '.join(first)}" if first else ""
    return (
        f"{items} test items{seeds}, drawn by a fixed seed ({_SEED}) from all that every row was asked, whatever came out:"
        " examples, not evidence."
    )


def cut(text: str, width: int = _WIDEST) -> str:
    """In one line, of at most so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _rendered(title: str, note: str, items: Sequence[Item], album: Album) -> Grid:
    if not items:
        return Grid("", [], [])
    environment = Environment(loader=PackageLoader("molfusion.report", "."), autoescape=True, trim_blocks=True)
    body = environment.get_template("gallery.html.j2").render(items=items, symbols=album.symbols)
    return Grid(title, [], [], note, body=Markup(body))

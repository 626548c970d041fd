"""A picture of the space in which molecules and their texts are compared."""

from __future__ import annotations

import random
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from molfusion.chem.calculated import calculate
from molfusion.report.figures import svg
from molfusion.report.grid import Grid
from molfusion.report.resampling import Matrix
from molfusion.report.results import Result, Row, Table

_MOLECULES, _ROWS = 250, 4
_FEWEST = 20  # below that there is nothing to see
_PROPERTY = "LogP"


def latent(table: Table) -> Grid:
    """Test molecules and texts of some rows in two projections, molecules coloured by LogP.

    Runs of `Retrieval` keep the place of each test query (column `vector`); of other runs there is nothing to draw.
    """
    rows = _chosen([row for row in table.rows if row.results and "vector" in row.results[0].predictions])
    found = [(row, *_places(row.results[0])) for row in rows]
    found = [f for f in found if len(f[1]) >= _FEWEST]
    if not found:
        return Grid("The shared space", [], [])
    height = 2.7 * len(found) + 0.4
    figure, grid = plt.subplots(len(found), 2, figsize=(6.6, height), squeeze=False, layout="constrained")
    for panels, (row, smiles, molecules, texts) in zip(grid, found, strict=True):
        colours = [calculate(_PROPERTY, s) for s in smiles]
        means = molecules.mean(0), texts.mean(0)
        both = np.concatenate([molecules - means[0], texts - means[1]])
        for axes, (name, flat) in zip(panels, _projections(both).items(), strict=True):
            points = _scattered(axes, flat, len(smiles), colours)
            apart = f"{np.linalg.norm(means[0] - means[1]):.2f}"
            title = f"{row.label}: {name}" if axes is panels[0] else f"{name} (means {apart} apart)"
            axes.set_title(title, fontsize=8.5, loc="left")
        figure.colorbar(points, ax=list(panels), label=_PROPERTY, shrink=0.8)
    note = (
        f"{len(found[0][1])} test molecules, drawn by a fixed seed, as dots coloured by {_PROPERTY} (Wildman and Crippen), and"
        " their texts as crosses, of the first seed. Left: the two directions of largest variance (PCA), right: t-SNE, in which"
        " neighbours mean something and distances do not. All vectors have length 1; molecules and texts usually lie in two"
        " clouds, so that each is moved to a mean of 0 first, and the title says how far apart the means were. A molecule with"
        f" several vectors stands at their mean. Fusions first, at most {_ROWS} rows."
    )
    title = f"molecules and texts of {table.name} in the shared space, coloured by {_PROPERTY}"
    return Grid("The shared space", [], [], note, Markup(svg(figure, title)))


def _chosen(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: not row.parts)[:_ROWS]


def _places(result: Result) -> tuple[list[str], Matrix, Matrix]:
    """SMILES, and vectors [N, P] of molecules and of their texts; the same molecules for every row of a table."""
    p = result.predictions
    whole = (p["pool"] == "all") & (p["scope"] == "all")
    sides = {way: np.flatnonzero(whole & (p["direction"] == way)) for way in ("m2t", "t2m")}
    index = {way: dict(zip(p["id"][at], at, strict=True)) for way, at in sides.items()}
    ids = sorted(index["m2t"].keys() & index["t2m"].keys())
    ids = random.Random(0).sample(ids, min(_MOLECULES, len(ids)))
    if not ids:
        return [], np.zeros((0, 0)), np.zeros((0, 0))
    vectors = [np.stack([p["vector"][index[way][key]] for key in ids]).astype(float) for way in ("m2t", "t2m")]
    return [str(p["smiles"][index["m2t"][key]]) for key in ids], vectors[0], vectors[1]


def _projections(x: Matrix) -> dict[str, Matrix]:
    """[N, P] to [N, 2], in two ways; the same each time."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    first = PCA(2, random_state=0, svd_solver="full").fit_transform(x)
    return {"PCA": first, "t-SNE": TSNE(2, init="pca", perplexity=min(30, len(x) / 4), random_state=0).fit_transform(x)}


def _scattered(axes: Axes, flat: Matrix, molecules: int, colours: Sequence[float]) -> plt.cm.ScalarMappable:
    axes.plot(*flat[molecules:].T, "x", color="#b5bac1", ms=3, mew=0.7, zorder=1)
    axes.set_xticks([])
    axes.set_yticks([])
    x, y = flat[:molecules].T
    return axes.scatter(x, y, c=colours, s=9, cmap="viridis", lw=0, zorder=2)

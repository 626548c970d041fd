import pytest

from molfusion.report.latent import latent
from molfusion.report.results import load
from tests.report.fakes import asked, run, sweep


def table(folder, molecules):
    """Molecules on one axis of the space, their texts on another, all at their own place."""
    sweep(folder, {"t": {"GIN $1": {}}})
    rows = []
    for i in range(molecules):
        smiles = "C" * (i + 1)
        rows.append(asked(f"m{i}", "m2t", [], smiles, "x", vector=(1.0, i / molecules, 0.0)))
        rows.append(asked(f"m{i}", "t2m", [], smiles, "x", vector=(0.0, i / molecules, 1.0)))
    run(folder / "t" / "GIN $1" / "0", "Retrieval", {"test/m2t/MRR": 1.0}, rows)
    return load(folder).tables[0]


@pytest.mark.slow
def test_two_projections_the_same_each_time(tmp_path):
    found = table(tmp_path, 24)
    grid = latent(found)
    text = str(grid.figure)
    assert ">GIN $1: PCA</text>" in text
    assert "t-SNE (means 1.41 apart)" in text  # √2
    assert ">LogP</text>" in text
    assert text.startswith('<svg role="img"')
    assert latent(found).figure == grid.figure


def test_too_few_to_see_anything(tmp_path):
    assert not latent(table(tmp_path, 5)).figure

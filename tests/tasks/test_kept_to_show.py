"""What runs keep beside their numbers, so that a report can show examples."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.tasks.helpers import FINGERPRINT, QFORMER, TEXT, fit


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "text"), [(FINGERPRINT, TEXT), (QFORMER, None)], ids=["towers", "QFormer"])
def test_retrieval_keeps_who_was_found_and_where(card, tmp_path, encoder, text):
    given = {"text": text} if text else {}
    fit(tmp_path / "a", card, "Retrieval", encoder=encoder, epochs=1, **given)
    rows = pq.read_table(tmp_path / "a" / "predictions.parquet").to_pylist()
    shown = [r for r in rows if r["split"] == "test" and r["scope"] == "all" and r["pool"] == "all"]
    assert len(shown) == 2 * 4
    vectors = {(r["id"], r["direction"]): np.array(r["vector"]) for r in shown}
    for row in shown:
        assert len(row["found"]) == 4
        if row["tied"] == 0:
            assert row["found"].index(row["id"]) == row["better"]
        assert row["smiles"]
        assert row["caption"]
        if text:  # one vector a molecule: what is first is what is nearest
            other = "t2m" if row["direction"] == "m2t" else "m2t"
            near = {key: float(vectors[row["id"], row["direction"]] @ vectors[key, other]) for key in row["found"]}
            assert max(near.values()) == pytest.approx(near[row["found"][0]], abs=1e-5)
    assert all(r["vector"] is None for r in rows if r["split"] == "val")

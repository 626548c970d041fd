"""Records once more: under one kind of fact, or among molecules that hardly differ."""

from dataclasses import replace

import pytest

from molfusion.batch import Fact, Record
from molfusion.data.card import CardError
from molfusion.data.scopes import Scopes

RECORD = Record("a", "C", "C", facts=(Fact("2d", "f", "Flat."), Fact("3d", "g", "Round.")), pools=(("3d", "p1"),))


@pytest.mark.parametrize(
    ("tag", "pool", "text"), [("2d", "", "Flat."), ("3d", "3d", "Round."), ("chi", "", None), ("2d", "chi", None)]
)
def test_texts_of_one_kind(tag, pool, text):
    found = Scopes({tag: pool}).of([RECORD], tag)
    assert [(r.text, r.scope, r.pool) for r in found] == ([] if text is None else [(text, tag, "p1" if pool else "")])


def pools(kind: str, *smiles: str) -> list[str]:
    records = [replace(RECORD, id=str(i), smiles=s, canonical=s, text="Whole.") for i, s in enumerate(smiles)]
    found = Scopes({}, [kind]).of(records, kind)
    assert all((r.text, r.scope) == ("Whole.", kind) for r in found)
    sets: dict[str, list[str]] = {}
    for r in found:
        sets.setdefault(r.pool, []).append(r.id)
    return sorted("".join(ids) for ids in sets.values())


def test_molecules_that_hardly_differ():
    """0 and 1: ortho and para; 2: a third arene; 3 and 4: mirror images; 5: their isomer; 6: 3 again (a conformer)."""
    shown = ("Cc1ccccc1O", "Cc1ccc(O)cc1", "Oc1ccccc1", "C[C@H](N)O", "C[C@@H](N)O", "NCCO", "C[C@H](N)O")
    assert pools("moved", *shown) == ["01", "2"]
    assert pools("scaffold", *shown) == ["012"]
    assert pools("isomers", *shown) == ["01", "2", "345"]
    assert pools("stereo", *shown) == ["0", "1", "2", "34", "5"]


def test_pools_that_nobody_knows():
    with pytest.raises(CardError, match="near: there are no pools 'epimers'; there are isomers, scaffold, moved, stereo"):
        Scopes({}, ["stereo", "epimers"])

import pytest
import torch

from molfusion.encoders import E3FPTokens
from molfusion.encoders.e3fp_tokens import at_least_one, framed
from molfusion.views.e3fp import E3FPView, ShellTokens
from molfusion.views.selfies import SelfiesView
from molfusion.views.text import Texts
from tests import contract


def shells(rows):
    ids = torch.tensor(rows)
    return ShellTokens(ids, torch.ones(ids.shape[:2], dtype=torch.bool))


def test_bag_is_the_table_in_any_order():
    tokens = E3FPTokens(3, shells=E3FPView(bits=8, level=1))
    with torch.no_grad():
        tokens.table.weight[1:] = torch.arange(24.0).view(8, 3)
    found = tokens({tokens.shells: shells([[[0, 7], [2, -1]]])})
    assert found.x[0].tolist() == [[0, 1, 2], [21, 22, 23], [6, 7, 8], [0, 0, 0]]
    assert found.mask.tolist() == [[True, True, True, False]]
    swapped = tokens({tokens.shells: shells([[[-1, 2], [7, 0]]])})
    assert sorted(map(tuple, swapped.x[0].tolist())) == sorted(map(tuple, found.x[0].tolist()))


def test_a_molecule_without_shells_keeps_a_zero_token():
    tokens = E3FPTokens(4, shells=E3FPView(bits=8))
    found = tokens({tokens.shells: shells([[[-1] * 4] * 2, [[1, -1, -1, -1], [-1] * 4]])})
    assert found.mask.sum(1).tolist() == [1, 1]
    assert found.mask[0, 0]
    assert not found.x[0].any()


def test_joint_is_half_of_each():
    tokens = E3FPTokens(2, "joint", E3FPView(bits=8, level=1))
    assert tokens.shells.rows == "selfies"
    with torch.no_grad():
        tokens.words.weight[5] = torch.tensor([2.0, 0.0])
        tokens.table.weight[3] = torch.tensor([0.0, 4.0])  # id 2
    found = tokens.joint(torch.tensor([[5, 5, 5]]), torch.tensor([[[-1, -1], [2, 2], [2, -1]]]))
    # Missing levels count as zero in the mean.
    assert found.tolist() == [[[1, 0], [1, 2], [1, 1]]]


@pytest.mark.parametrize("compat", [False, True])
def test_selfies_alone_where_there_is_no_shell(compat):
    """By molecule; 3D-MolT5 asks the whole batch."""
    tokens = E3FPTokens(2, "joint", E3FPView(bits=8, level=1), compat=compat)
    words, none, some = torch.tensor([[5], [5]]), [[-1, -1]], [[2, 2]]
    mixed, alone = tokens.joint(words, torch.tensor([none, some])), tokens.joint(words, torch.tensor([none, none]))
    spelt = tokens.words.weight[5]
    assert torch.allclose(alone, spelt.expand(2, 1, 2))
    assert torch.allclose(mixed[0, 0], spelt * (0.5 if compat else 1))


@pytest.mark.parametrize("mix", ["sum", "concat"])
def test_joint_stands_in_the_order_of_the_selfies(mix):
    """Salts as well: the atoms behind the dot are theirs."""
    tokens = E3FPTokens(4, "joint", E3FPView(bits=64), mix=mix)
    batch = contract.collate(tokens, contract.records())
    texts, placed = batch[tokens.selfies], framed(batch[tokens.shells], batch[tokens.selfies])
    assert tokens(batch).x.shape[:2] == texts.ids.shape
    names = dict(enumerate(_alphabet(tokens.selfies)))
    for ids, rows, record in zip(texts.ids, placed, contract.records(), strict=True):
        with_shell = [names[int(i)] for i, row in zip(ids, rows, strict=True) if (row >= 0).any()]
        heavy = [a for a in record.geometry.numbers if a > 1]
        assert len(with_shell) == len(heavy), record.smiles
        assert not any("Branch" in name or "Ring" in name or name == "." for name in with_shell)
    salt = [names[int(i)] for i, row in zip(texts.ids[5], placed[5], strict=True) if (row >= 0).any()]
    assert {n.strip("[]+-1") for n in salt} == {"Na", "Cl"}


def _alphabet(view):
    from molfusion.views.selfies import _index

    return list(_index(view.vocabulary, view.constraints))


def test_one_side_alone():
    words = E3FPTokens(4, "joint", E3FPView(bits=64), sides="selfies")
    assert words.table is None
    assert words.views == {words.selfies}
    placed = E3FPTokens(4, "joint", E3FPView(bits=64), sides="e3fp")
    assert placed.words is None
    found = placed(contract.collate(placed, contract.records()))
    heavy = [sum(a > 1 for a in r.geometry.numbers) for r in contract.records()]
    assert found.mask.sum(1).tolist() == heavy
    with pytest.raises(ValueError, match="a bag holds E3FP alone"):
        E3FPTokens(4, sides="e3fp")


def test_shells_of_another_molecule():
    """Rows 5 and 6, lent to strings of one, two and three tokens with their [BOS] and [EOS]."""
    for length, expected in ((3, [-1, 5, -1]), (4, [-1, 5, 6, -1]), (5, [-1, 5, 6, -1, -1])):
        texts = Texts(torch.zeros(1, length, dtype=torch.long), torch.ones(1, length, dtype=torch.bool))
        assert framed(shells([[[5], [6]]]), texts).flatten().tolist() == expected


def test_at_least_one():
    assert at_least_one(torch.tensor([[False, False], [False, True]])).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("setting", [{"level": 2}, {"radius": 2.5}, {"bits": 512}, {"stereo": False}, {"merge": True}])
def test_settings_reach_the_view(setting):
    view = E3FPView(**setting)
    assert E3FPTokens(2, shells=view).views == {view}
    assert E3FPTokens(2, shells=view).table.weight.shape == (view.bits + 1, 2)


def test_vocabulary_is_the_views():
    view = SelfiesView(unknown="unk")
    assert E3FPTokens(2, "joint", selfies=view).words.weight.shape == (view.vocab_size, 2)

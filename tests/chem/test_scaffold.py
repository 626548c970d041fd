from collections import defaultdict

from molfusion.chem.scaffold import scaffold, split_groups


def test_scaffold():
    assert scaffold("CCc1ccccc1") == "c1ccccc1"
    assert scaffold("C[C@@H]1CCCCN1") == "C1CCNCC1"
    assert scaffold("CCO") == ""


def test_groups_never_part_and_fractions_hold():
    groups = [f"g{i % 40}" for i in range(400)]
    parts = split_groups(groups, (0.8, 0.1, 0.1), seed=1)
    seen = defaultdict(set)
    for group, part in zip(groups, parts, strict=True):
        seen[group].add(part)
    assert all(len(p) == 1 for p in seen.values())
    assert abs(parts.count(1) - 40) <= 10
    assert abs(parts.count(2) - 40) <= 10


def test_seeded():
    groups = [str(i) for i in range(50)]
    assert split_groups(groups, (0.6, 0.2, 0.2), 3) == split_groups(groups, (0.6, 0.2, 0.2), 3)
    assert split_groups(groups, (0.6, 0.2, 0.2), 3) != split_groups(groups, (0.6, 0.2, 0.2), 4)


def test_a_big_group_goes_to_train():
    parts = split_groups(["big"] * 50 + [str(i) for i in range(50)], (0.8, 0.1, 0.1), 0)
    assert set(parts[:50]) == {0}

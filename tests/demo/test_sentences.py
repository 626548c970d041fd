"""Every way to tell a fact, word by word."""

import random
import re

import pyarrow.parquet as pq
import pytest

from molfusion.demo.sentences import tell
from molfusion.paths import package_path

# kind, value, all ways to say it
TOLD = [
    ("formula", "C6H6", {"Its molecular formula is C6H6.", "It has the composition C6H6.", "The formula reads C6H6."}),
    (
        "groups",
        (("alcohol", 2), ("nitro group", 1)),
        {
            "It carries two alcohols and one nitro group.",
            "Among its functional groups are two alcohols and one nitro group.",
            "It contains two alcohols and one nitro group.",
        },
    ),
    (
        "groups",
        (("ester", 1), ("phenol", 3), ("fluorine", 12)),
        {
            "It carries one ester, three phenols and 12 fluorines.",
            "Among its functional groups are one ester, three phenols and 12 fluorines.",
            "It contains one ester, three phenols and 12 fluorines.",
        },
    ),
    ("rings", (0, 0, ()), {"It is acyclic.", "There is no ring in the skeleton."}),
    (
        "rings",
        (2, 1, ("indole", "benzene")),
        {
            "It has two rings, one of them aromatic, including indole and benzene.",
            "The skeleton holds two rings (one aromatic), including indole and benzene.",
        },
    ),
    (
        "rings",
        (1, 0, ()),
        {"It has one ring, none of them aromatic.", "The skeleton holds one ring (none aromatic)."},
    ),
    ("substitution", ("para",), {"A six-membered aromatic ring is substituted in para position."}),
    (
        "substitution",
        ("ortho", "meta", "para"),
        {"A six-membered aromatic ring is substituted in ortho, meta and para position."},
    ),
    (
        "polarity",
        ("hydrophilic", 1, 60),
        {
            "It is hydrophilic, with one hydrogen-bond donor and a polar surface of about 60 square angstrom.",
            "With one hydrogen-bond donor and about 60 square angstrom of polar surface, it is hydrophilic.",
        },
    ),
    ("flexibility", 0, {"It has no rotatable bonds.", "No bonds can rotate freely."}),
    ("flexibility", 1, {"It has one rotatable bond.", "One bond can rotate freely."}),
    ("flexibility", 10, {"It has 10 rotatable bonds.", "10 bonds can rotate freely."}),
    ("shape", "disc", {"The conformer is shaped like a disc.", "In space it comes close to a disc."}),
    (
        "gyration",
        3.0,
        {"The radius of gyration is 3.0 angstrom.", "Its radius of gyration measures 3.0 angstrom."},
    ),
    ("span", 12.1, {"The two most distant heavy atoms are 12.1 angstrom apart.", "It spans 12.1 angstrom."}),
    ("fold", "bent", {"The chain is bent.", "Overall the molecule is bent."}),
    ("planarity", "coplanar", {"The heavy atoms are nearly coplanar.", "It is almost flat."}),
    ("planarity", "non-planar", {"The heavy atoms are moderately non-planar.", "It leaves the plane in part."}),
    ("planarity", "bulky", {"The heavy atoms are far from a common plane.", "It is bulky rather than flat."}),
    ("contact", ("nitro group", "thiol", 6.7), {"The nitro group and the thiol are 6.7 angstrom apart."}),
    ("double_bonds", ("E",), {"The double bond geometry is E."}),
    ("double_bonds", ("E", "Z", "Z"), {"The double bond geometry is E, Z and Z."}),
    (
        "stereocentres",
        (1, 0),
        {"The stereocentre has the R configuration.", "Its only stereocentre is R."},
    ),
    (
        "stereocentres",
        (0, 1),
        {"The stereocentre has the S configuration.", "Its only stereocentre is S."},
    ),
    (
        "stereocentres",
        (2, 1),
        {"Of the stereocentres, two are R and one is S.", "Its stereocentres are two R and one S."},
    ),
    ("stereocentres", (0, 3), {"Of the stereocentres, three are S.", "Its stereocentres are three S."}),
]


@pytest.mark.parametrize(("kind", "value", "ways"), TOLD, ids=lambda x: x if isinstance(x, str) else None)
def test_every_way_to_say_it(kind, value, ways):
    found = [tell("2d", {kind: value}, random.Random(seed)) for seed in range(60)]
    assert all(len(facts) == 1 and facts[0][:2] == ("2d", kind) for facts in found)
    assert {facts[0].text for facts in found} == ways


@pytest.mark.parametrize(("kind", "value", "ways"), TOLD, ids=lambda x: x if isinstance(x, str) else None)
def test_each_is_one_sentence(kind, value, ways):
    for text in ways:
        assert text.endswith(".")
        assert len(re.split(r"(?<=[.!?])\s+", text)) == 1, "captions are cut at their full stops"


def test_every_shipped_kind_is_checked_here():
    facts = pq.read_table(package_path("package://molfusion/demo/pairs.parquet"), columns=["facts"])["facts"]
    assert {f["kind"] for row in facts.to_pylist() for f in row} == {kind for kind, _, _ in TOLD}


def test_order_is_kept_and_the_seed_decides():
    facts = {"formula": "CH4", "rings": (0, 0, ()), "flexibility": 0}
    told = tell("2d", facts, random.Random(1))
    assert [f.kind for f in told] == list(facts)
    assert told == tell("2d", facts, random.Random(1))
    assert any(told != tell("2d", facts, random.Random(seed)) for seed in range(2, 20))

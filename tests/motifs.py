"""A motif vocabulary of a few molecules, for tests."""

from collections import Counter

from molfusion.chem.motifs_tree import motif_tree
from molfusion.chem.motifs_vocabulary import pairs_of, vocabulary_of

SMILES = ["CCO", "Cc1ccc(O)c(N)c1", "c1ccc2ccccc2c1"]


def write_vocabulary(folder, compat=False, smiles=SMILES):
    """The path of the file."""
    counts = Counter()
    for s in smiles:
        counts.update(pairs_of(motif_tree(s, compat=compat), compat))
    path = folder / f"{compat}.json"
    vocabulary_of(counts, compat=compat).save(path)
    return str(path)

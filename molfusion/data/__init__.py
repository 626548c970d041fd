"""Where bytes come from and who is in which split."""

from molfusion.data.card import Card, CardError, load_card
from molfusion.data.datamodule import MoleculeData
from molfusion.data.dataset import MoleculeDataset
from molfusion.data.store import ViewStore

__all__ = ["Card", "CardError", "MoleculeData", "MoleculeDataset", "ViewStore", "load_card"]

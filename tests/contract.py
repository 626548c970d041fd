"""What every encoder must hold to, whatever it is made of. Molecules are hand-made: no data set, no RDKit embedding."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from molfusion.batch import Geometry, MoleculeBatch, Record
from molfusion.chem.parse import canonical, parse
from molfusion.encoders.base import Aligned, Atomwise, Encoder
from molfusion.views.batches import batch_of
from molfusion.views.conformer import ConformerView
from molfusion.views.e3fp import E3FPView

SMILES = ["CCO", "c1ccccc1C(=O)O", "C", "N[C@@H](C)C(=O)O", "CC(C)CC1=CC=CC=C1", "[Na+].[Cl-]"]
TEXTS = ["It is an alcohol.", "An aromatic acid with one ring.", "", "The stereocentre is S.", "Strongly lipophilic.", "A salt."]


def records(rotation: np.ndarray | None = None, shift: float = 0.0) -> list[Record]:
    """Six molecules with arbitrary coordinates, turned and shifted as asked."""
    rng = np.random.default_rng(0)
    out = []
    for i, (smiles, text) in enumerate(zip(SMILES, TEXTS, strict=True)):
        mol = parse(smiles)
        positions = rng.normal(scale=2.0, size=(mol.GetNumAtoms(), 3))
        if rotation is not None:
            positions = positions @ rotation.T + shift
        numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], dtype=np.uint8)
        geometry = Geometry(numbers, positions.astype(np.float32))
        out.append(Record(f"m{i}", smiles, canonical(mol), geometry, text=text, targets=(float(i),)))
    return out


def collate(encoder: Encoder, chosen: list[Record]) -> MoleculeBatch:
    views = encoder.views | getattr(encoder, "loss_views", frozenset())
    return replace(batch_of(chosen, views), targets=torch.tensor([r.targets for r in chosen]))


def reads_geometry(encoder: Encoder) -> bool:
    return any(isinstance(v, ConformerView | E3FPView) for v in encoder.views)


def check_shape(encoder: Encoder) -> None:
    tokens = encoder(collate(encoder, records()))
    assert tokens.x.ndim == 3
    assert tokens.x.shape == (len(SMILES), tokens.mask.shape[1], encoder.dim)
    assert tokens.mask.dtype == torch.bool
    assert tokens.mask.any(1).all(), "a molecule without a token"
    assert torch.isfinite(tokens.x).all()


def check_alone(encoder: Encoder) -> None:
    """A molecule's tokens depend neither on its neighbours nor on the padding they bring."""
    encoder.eval()
    chosen = records()
    together = encoder(collate(encoder, chosen))
    for i, record in enumerate(chosen):
        alone = encoder(collate(encoder, [record]))
        expected, found = together.x[i][together.mask[i]], alone.x[0][alone.mask[0]]
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def check_train_is_eval(encoder: Encoder) -> None:
    """Without dropout the two modes agree. (Batch norm is the one layer meant to differ; it is held in eval.)"""
    batch = collate(encoder, records())
    encoder.eval()
    expected = encoder(batch).x
    encoder.train()
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "dropout_prob", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    torch.testing.assert_close(encoder(batch).x, expected, atol=2e-5, rtol=1e-4)


def check_moves(encoder: Encoder) -> None:
    """Tokens do not change when the molecule is turned and shifted."""
    a, b = math.cos(0.7), math.sin(0.7)
    turn = np.array([[a, -b, 0], [b, a, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, a, -b], [0, b, a]])
    encoder.eval()
    expected = encoder(collate(encoder, records()))
    found = encoder(collate(encoder, records(turn, shift=3.0)))
    torch.testing.assert_close(found.x[found.mask], expected.x[expected.mask], atol=2e-4, rtol=1e-3)


def check_lent(encoder: Encoder) -> None:
    """Any one view can be another molecule's, larger or smaller: `test --reliance` asks what is lost then."""
    encoder.eval()
    small, large = [records()[i] for i in (0, 2)], [records()[i] for i in (1, 4)]
    for borrower, lender in ((small, large), (large, small)):
        own, other = collate(encoder, borrower), collate(encoder, lender)
        for view in encoder.views:
            tokens = encoder(replace(own, views={**own.views, view: other[view]}))
            assert torch.isfinite(tokens.x[tokens.mask]).all(), f"{view} of another molecule"


def check_atoms(encoder: Encoder) -> None:
    """If its tokens stand for atoms: no real token is left unsaid, and there is each atom that is named."""
    if not isinstance(encoder, Atomwise):
        return
    mask = encoder(collate(encoder, records())).mask
    for record, real in zip(records(), mask, strict=True):
        standing = encoder.token_atoms(record)
        assert not real[len(standing) :].any()
        assert standing.min() >= -1
        assert standing.max() < parse(record.smiles).GetNumAtoms()


def check_gradients(encoder: Encoder, precision: torch.dtype) -> None:
    """Finite, and reaching every parameter that trains, through tokens and losses alike."""
    encoder.train()
    batch = collate(encoder, records())
    encoder.zero_grad()
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        tokens = encoder(batch)
        total = (tokens.x.float() * tokens.mask.unsqueeze(-1)).square().sum()
        if isinstance(encoder, Aligned):
            total = total + sum(encoder.losses(batch).values()) + encoder.embed_texts(batch).float().sum()
    total.backward()
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert torch.isfinite(parameter.grad).all(), f"{name}: gradient is not finite"


def check_round_trip(encoder: Encoder, twin: Encoder) -> None:
    """A state dict carries the whole encoder into a freshly built one."""
    encoder.eval(), twin.eval()
    twin.load_state_dict(encoder.state_dict())
    batch = collate(encoder, records())
    assert torch.equal(twin(batch).x, encoder(batch).x)


def check_aligned(encoder: Encoder) -> None:
    """Unit vectors of one width on both sides; losses finite, named, and lower after 30 steps on these molecules."""
    assert isinstance(encoder, Aligned)
    torch.manual_seed(0)
    encoder.train()
    batch = collate(encoder, records())
    molecules, texts = encoder.embed_molecules(batch), encoder.embed_texts(batch)
    assert molecules.ndim == 3
    assert texts.shape == (len(SMILES), molecules.shape[2])
    for side in (molecules, texts):
        torch.testing.assert_close(side.norm(dim=-1), torch.ones(side.shape[:-1]), atol=1e-4, rtol=1e-4)
    optimizer = torch.optim.AdamW([p for p in encoder.parameters() if p.requires_grad], lr=1e-3)
    history = []
    for _ in range(30):
        losses = encoder.losses(batch)
        assert all(isinstance(name, str) and value.ndim == 0 for name, value in losses.items())
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert history[-1] < history[0], history

"""A frozen encoder whose tokens were written down: it is asked no more, only looked up."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder, Frozen, NotApplicable, WeightsError
from molfusion.views.base import View
from molfusion.views.text import TextView
from molfusion.views.tokens import DType, Of, Pads, StoredTokens, TokensView

_PASSING = {"training", "needs_weights"}  # states of a module, not settings


class CachedTokens(Frozen):
    """`Frozen(encoder)` that reads the tokens `molfusion export --tokens` stored under the encoder's digest.

    The encoder stays inside, unused: parameters, checkpoints and exports are those of `Frozen(encoder)`, and either
    can take the place of the other. Tokens were computed in float32, whatever precision the rest trains in, and without
    padding: in a padded batch the encoder itself rounds otherwise, by about 1e-6, which a long training amplifies.

    Args:
        encoder: whose tokens they are.
        digest: `encoder_digest` of it when they were made.
        dtype: they are stored in; read as float32.
    """

    def __init__(self, encoder: Encoder, digest: str, dtype: DType = "float32") -> None:
        super().__init__(encoder)
        self.digest = digest
        pads = {v.pads for v in encoder.views}
        padded: Pads = "pairs" if "pairs" in pads else "text" if "text" in pads else ""
        text = next((v for v in sorted(encoder.views, key=repr) if v.pads == "text"), None)
        self.view = TokensView(digest, dtype, pads=padded, source=text, of=kept_by(encoder))
        self.views = frozenset({self.view})
        self._checked = False

    def forward(self, batch: MoleculeBatch) -> Tokens:
        """Look them up.

        Raises:
            WeightsError: the tokens are of another encoder than the one inside.
        """
        if not self._checked:  # not in the constructor: weights may come after it, in a checkpoint
            self._check()
        stored: StoredTokens = batch[self.view]
        return Tokens(stored.x.float(), stored.mask)

    def _check(self) -> None:
        found = encoder_digest(self.encoder)
        if found != self.digest:
            raise WeightsError(
                f"the cached tokens are of the encoder {self.digest}, but the encoder here is {found}: its weights, its "
                "settings or the releases of its tools have changed; run `molfusion export RUN --tokens` again and use "
                "the tokens.yaml it writes"
            )
        self._checked = True


def kept_by(encoder: Encoder) -> Of:
    """What the tokens of an encoder depend on.

    Raises:
        NotApplicable: it reads molecules and their texts.
    """
    texts = {isinstance(v, TextView) and v.reads == "text" for v in encoder.views}
    if len(texts) > 1:
        raise NotApplicable(f"{type(encoder).__name__} reads molecules and their texts: its tokens belong to neither alone")
    return "text" if True in texts else "molecule"


def encoder_digest(encoder: Encoder) -> str:
    """Name of an encoder by all that its tokens depend on: classes, settings, views with their tools, weights.

    Settings are the plain values that its modules keep (widths, heads, …). Its source code is not part of it.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, module in encoder.named_modules():
        kind = type(module)
        digest.update(f"{name}|{kind.__module__}.{kind.__qualname__}|{_settings(module)!r}\n".encode())
    for view in sorted(v.name() for v in encoder.views):
        digest.update(f"{view}\n".encode())
    for key, value in sorted(encoder.state_dict().items()):
        digest.update(f"{key}|{value.dtype}|{tuple(value.shape)}\n".encode())
        digest.update(_bytes(value))
    return f"{type(encoder).__name__}-{digest.hexdigest()}"


def _settings(module: nn.Module) -> list[tuple[str, Any]]:
    return sorted(
        (key, value) for key, value in vars(module).items() if not key.startswith("_") and key not in _PASSING and _plain(value)
    )


def _plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | str | View)


def _bytes(value: Tensor) -> Any:
    if isinstance(value, DTensor):
        value = value.full_tensor()  # a shard would name another encoder on every rank
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()

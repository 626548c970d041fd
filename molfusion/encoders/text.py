"""Any BERT-type model of Hugging Face as an encoder of captions (or of SMILES)."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder, WeightsError
from molfusion.errors import NotFound, first_line
from molfusion.views.text import TextView
from molfusion.views.tokenizer import EMBEDDED, locate


class TextEncoder(Encoder):
    """Token per word piece.

    Args:
        name: a hub name, a folder, or `package://module/folder` with config, weights and tokenizer. None: a small BERT
            of the sizes below, from scratch, with the vocabulary that ships with molfusion.
        dim: width of the small one.
        layers: its layers.
        heads: its heads.
        dropout: in it; attention with dropout has no fused kernel on a CPU and takes several times as long.
        tokenizer: if not the model's own.
        length: longest text in tokens; the rest is cut.
        reads: `text` or `smiles`.
        pretrained: False builds `name` with random weights.
    """

    def __init__(
        self,
        name: str | None = None,
        dim: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        tokenizer: str | None = None,
        length: int = 128,
        reads: Literal["text", "smiles"] = "text",
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.view = TextView(tokenizer or name or EMBEDDED, length, reads)
        self.views = frozenset({self.view})
        self.needs_weights = name is not None and pretrained
        self.model = _build(name, self.view, dim, layers, heads, dropout)
        self.dim = self.model.config.hidden_size

    def forward(self, batch: MoleculeBatch) -> Tokens:
        if self.needs_weights:
            raise RuntimeError(f"the weights of {self.name} are not loaded yet: call load_pretrained() first")
        texts = batch[self.view]
        x: Tensor = self.model(input_ids=texts.ids, attention_mask=texts.mask.long()).last_hidden_state
        return Tokens(x, texts.mask)

    def load_pretrained(self) -> None:
        """Read the published weights (safetensors only).

        Raises:
            WeightsError: not there, and not to be had from the hub.
        """
        from transformers import AutoModel

        assert self.name is not None
        try:
            model = AutoModel.from_pretrained(locate(self.name), use_safetensors=True, trust_remote_code=False)
        except OSError as error:
            raise WeightsError(f"the weights of {self.name} are not to be had: {first_line(error)}") from error
        self.model.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("pooler.")})
        self.needs_weights = False

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.model.encoder.layer) if hasattr(self.model, "encoder") else []


def _build(name: str | None, view: TextView, dim: int, layers: int, heads: int, dropout: float) -> Any:
    """The architecture, with random weights and without the unused pooler."""
    from transformers import AutoConfig, AutoModel, BertConfig

    if name is None:
        config: Any = BertConfig(
            vocab_size=view.vocab_size,
            hidden_size=dim,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * dim,
            max_position_embeddings=max(512, view.length),
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=0,
        )
    else:
        place = locate(name)  # outside the try: a package that is not installed says so itself
        try:
            config = AutoConfig.from_pretrained(place, trust_remote_code=False)
        except OSError as error:
            raise NotFound(
                f"text model {name!r}: no such folder, and not to be had from the hub ({first_line(error)})"
            ) from error
    model = AutoModel.from_config(config)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model

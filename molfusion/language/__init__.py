"""Language models that read a molecule's tokens in their prompt."""

from molfusion.language.causal import LanguageModel, Likelihood
from molfusion.language.decoding import Decoding
from molfusion.language.errors import LanguageError
from molfusion.language.lora import Lora

__all__ = ["Decoding", "LanguageError", "LanguageModel", "Likelihood", "Lora"]

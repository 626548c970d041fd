"""What can be wrong with a language model that its user can mend."""

from molfusion.errors import MolfusionError


class LanguageError(MolfusionError, ValueError):
    """This language model, its tokenizer or what it is asked does not work; the message says why and what to do."""

"""One line for what the user can mend, a traceback only on demand."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable


class MolfusionError(Exception):
    """Something the user can mend; the message says what was found, what was expected, and what to do."""


class NotFound(MolfusionError, FileNotFoundError):
    """A file, package or hub name that a config speaks of is not there; the message says what was looked for."""


def first_line(error: BaseException) -> str:
    """Of what a library said: the rest is advice on how to use the library."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def reported(function: Callable[[], int | None], debug: bool = False) -> int:
    """Run a command; its exit code: 0, 2 for a `MolfusionError`, 1 for anything unforeseen."""
    try:
        return function() or 0
    except MolfusionError as error:
        if debug:
            traceback.print_exc()
        for line in str(error).splitlines():
            print(f"molfusion: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("molfusion: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        text = " ".join(str(error).split())
        print(f"molfusion: {type(error).__name__}: {text} (--debug shows where)", file=sys.stderr)
        return 1

"""Read an LMDB of pickles that somebody else made: run by itself, in a process that can do nothing else.

`python -I unpickle.py FILE` writes one JSON object a record to its standard output: `key`, the record's texts, `atoms`
and the `coordinates` of its first conformer (base64 of float32). A pickle is a program; this reader lets it build plain
values and numpy arrays and nothing more, and the process may write no file, start no other and take bounded memory.
Imports nothing of molfusion, so that it starts without it.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 4 << 30  # bytes beside the file itself, which is mapped
SECONDS = 6 * 3600  # of processor time
_TEXTS = ("smiles", "smi", "description", "enriched_description", "cid")


def _encode(text: object, codec: object = "latin1") -> bytes:
    """What pickles of protocol 2 make bytes with; any other codec is refused."""
    if not isinstance(text, str) or codec != "latin1":
        raise pickle.UnpicklingError(f"asks for the codec {codec!r}")
    return text.encode("latin1")


def _array_maker(name: str) -> Any:
    for home in ("numpy._core", "numpy.core"):
        try:
            module = __import__(f"{home}.{'numeric' if name == '_frombuffer' else 'multiarray'}", fromlist=[name])
            return getattr(module, name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"numpy has no {name}")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{(home, name): _array_maker(name) for home in ("numpy.core.multiarray", "numpy._core.multiarray")
       for name in ("_reconstruct", "scalar")},
    **{(home, "_frombuffer"): _array_maker("_frombuffer") for home in ("numpy.core.numeric", "numpy._core.numeric")},
    **{(home, kind.__name__): kind for home in ("builtins", "__builtin__")
       for kind in (list, dict, tuple, set, frozenset, str, bytes, bytearray, int, float, bool, complex)},
}  # fmt: skip


class Unpickler(pickle.Unpickler):
    """Plain values and numpy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which no record needs") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("asks for an object outside of it")


def record(key: bytes, value: bytes) -> dict[str, Any]:
    """One entry as plain JSON values.

    Raises:
        ValueError: it is not of the published form.
    """
    found = Unpickler(io.BytesIO(value)).load()
    if not isinstance(found, dict):
        raise ValueError(f"is a {type(found).__name__}, expected a dict")
    out: dict[str, Any] = {"key": key.decode("ascii")}
    out |= {name: str(found[name]) for name in _TEXTS if isinstance(found.get(name), str | int)}
    atoms = [str(a) for a in found["atoms"]]
    conformers = found["coordinates"] if "coordinates" in found else found["coordinates_list"]
    first = np.asarray(conformers[0], dtype="<f4")
    if first.shape != (len(atoms), 3) or not np.isfinite(first).all():
        raise ValueError(f"has coordinates {list(first.shape)} of {len(atoms)} atoms")
    places = base64.b64encode(first.tobytes()).decode("ascii")
    return out | {"atoms": atoms, "conformers": len(conformers), "coordinates": places}


def main(path: Path) -> int:
    import lmdb

    for what, most in (
        (resource.RLIMIT_AS, MEMORY + path.stat().st_size),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    database = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False, meminit=False)
    with database, database.begin() as transaction:
        for key, value in transaction.cursor():
            try:
                line = json.dumps(record(key, value))
            except Exception as error:
                print(f"record {key!r}: {type(error).__name__}: {error}", file=sys.stderr)
                return 3
            sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except BrokenPipeError:
        sys.exit(4)
    except ImportError as error:
        print(f"{error}: pip install 'molfusion[moit]'", file=sys.stderr)
        sys.exit(5)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3)

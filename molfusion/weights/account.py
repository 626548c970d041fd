"""What became of the keys of a published checkpoint."""

from __future__ import annotations

from torch import Tensor

from molfusion.weights.keys import Converted

State = dict[str, Tensor]


def account(published: State, made: Converted, expected: State, held: State) -> list[str]:
    """What became of every key: one line each, and a line that counts them."""
    shape = {key: "×".join(map(str, value.shape)) or "1" for key, value in {**expected, **published}.items()}
    out = [f"renamed   {theirs} -> {ours}  {shape[theirs]}" for theirs, ours in made.renamed.items()]
    out += [f"left out  {key}  {shape[key]}" for key in made.left_out]
    added = sorted(made.state.keys() - set(made.renamed.values()))
    missing = sorted(expected.keys() - made.state.keys() - held.keys())
    out += [f"added     {key}" for key in added]
    out += [f"from part {key}" for key in sorted(held)]
    out += [f"missing   {key}  {shape[key]}" for key in missing]
    counts = {
        "renamed": len(made.renamed), "left out": len(made.left_out), "added": len(added), "from the part": len(held),
        "missing": len(missing),
    }  # fmt: skip
    return [*out, ", ".join(f"{n} {what}" for what, n in counts.items() if n or what == "missing")]


def suited(value: Tensor, ours: Tensor | None) -> Tensor:
    """In the precision of ours (checkpoints may be half as wide), and by itself in memory, as safetensors wants it."""
    return value.to(value.dtype if ours is None else ours.dtype).contiguous().clone()

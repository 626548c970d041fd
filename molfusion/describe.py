"""Short names for what a config describes: `Retrieval QFormer(UniMol)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def name_of(tree: Mapping[str, Any], slot: str | None = None) -> str:
    """The task's class with its encoder's composition, or that of one slot of it; safe as a file name."""
    model = tree.get("model") or {}
    arguments = model.get("init_args") or {}
    if slot is not None:
        return composition(arguments.get(slot))
    task = str(model.get("class_path", "run")).rpartition(".")[2]
    inner = composition(arguments.get("encoder") or arguments.get("objective"))
    return f"{task}-{inner}" if inner else task


def composition(fragment: Any) -> str:
    """`QFormer(UniMol)` from a nested fragment; restored, frozen and cached encoders go by what they hold."""
    if not isinstance(fragment, Mapping) or "class_path" not in fragment:
        return ""
    name = str(fragment["class_path"]).rpartition(".")[2]
    arguments = fragment.get("init_args") or {}
    parts = [composition(value) for value in arguments.values()]
    inner = ",".join(p for p in parts if p)
    if name in {"restore", "Frozen", "CachedTokens"}:
        return inner
    return f"{name}({inner})" if inner else name


def exported_fragment(tree: Mapping[str, Any], slot: str, weights: str) -> dict[str, Any]:
    """The encoder fragment that a run of this config exports for one slot."""
    return restored(exported_encoder(tree, slot), weights)


def restored(encoder: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """The fragment of an encoder with a file of weights."""
    return {"class_path": "molfusion.encoders.restore", "init_args": {"encoder": encoder, "weights": weights}}


def exported_encoder(tree: Mapping[str, Any], slot: str) -> dict[str, Any]:
    """The encoder's fragment, without weights, that a run of this config exports for one slot."""
    arguments = tree["model"]["init_args"]
    given = arguments[slot] if slot in arguments else arguments["objective"]["init_args"][slot]
    fragment: dict[str, Any] = without_restored(given)
    return fragment


def without_restored(fragment: Any) -> Any:
    """Without the weights it started from: the new ones replace them."""
    if not isinstance(fragment, Mapping):
        return fragment
    if str(fragment.get("class_path", "")).endswith("encoders.restore"):
        return without_restored(fragment["init_args"]["encoder"])
    return {k: without_restored(v) for k, v in fragment.items()}

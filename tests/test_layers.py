"""Who may import whom. The table is the architecture; the code is read with `ast`."""

import ast
from pathlib import Path

import molfusion

ROOT = Path(molfusion.__file__).parent

# package (or module) -> parts of molfusion it may import; its own part always.
ALLOWED = {
    "batch": {"views.base"},  # for its type only
    "errors": set(),
    "paths": {"errors"},
    "cores": set(),
    "chem": set(),
    "config": {"errors", "paths"},
    "views": {"batch", "chem", "paths", "errors"},
    "data": {"batch", "chem", "views", "cores", "paths", "errors"},
    "audit": {"batch", "chem", "data"},
    "demo": {"batch", "chem", "data", "paths"},
    "nn": set(),
    "metrics": {"batch", "chem", "errors", "paths", "views.tokenizer", "demo.reading"},
    "encoders": {"batch", "chem", "views", "nn", "errors", "decoders.base"},
    "fusion": {"batch", "views", "nn", "encoders.base", "errors"},
    "decoders": {"batch", "chem", "views", "nn", "encoders.base", "errors"},
    "language": {"batch", "views", "nn", "encoders.base", "errors", "paths"},
    "weights": {"errors"},
    "sharding": {"encoders.base", "errors"},
    "tasks": {
        "batch", "views", "nn", "metrics", "encoders.base", "decoders.base", "language", "weights.read", "sharding", "errors",
    },
    "strategies": {"encoders", "fusion", "decoders", "language", "nn.diffusion", "tasks"},
}

# Only here may these be imported at all.
EXTERNAL = {
    "rdkit": {"chem", "demo", "data"},
    "torch": {"batch", "views", "data", "nn", "encoders", "fusion", "decoders", "language", "weights", "tasks", "strategies",
              "callbacks", "runner", "export", "tokens", "progress", "build", "baselines", "sweep", "commands",
              "grounding", "sharding", "trained"},
    "omegaconf": {"config", "data"},
    "lightning": {"data", "tasks", "strategies", "build", "callbacks", "runner", "progress", "sweep",
                  "sharding", "trained"},
    "transformers": {"encoders", "views", "language", "metrics"},
    "torch_geometric": {"views", "encoders", "decoders", "nn"},
    "tokenizers": {"views", "demo"},
    "sklearn": {"metrics", "baselines", "molecule_baselines", "report"},
    "matplotlib": {"report"},
    "selfies": {"chem"},
    "e3fp": {"chem"},
    "mmh3": {"chem"},
    "PIL": {"views", "chem"},
    "peft": {"language"},
    "gguf": {"language"},
    "nltk": {"metrics"},
    "rouge_score": {"metrics"},
    "lmdb": {"data"},
    "jinja2": {"report"},
}  # fmt: skip


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        yield name.removesuffix(".__init__"), path


def imports(path: Path):
    """Names imported anywhere in the file; those under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_layers():
    wrong = []
    for name, path in modules():
        part = name.split(".")[0]
        allowed = ALLOWED.get(part)
        for target in imports(path):
            if not target.startswith("molfusion.") or allowed is None:
                continue
            target = target.removeprefix("molfusion.")
            ours = target.split(".")[0] == part
            if not ours and not any(target == a or target.startswith(a + ".") for a in allowed):
                wrong.append(f"{name} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_external_packages_have_one_home():
    wrong = []
    for name, path in modules():
        part = name.split(".")[0]
        for target in imports(path):
            homes = EXTERNAL.get(target.split(".")[0])
            if homes is not None and part not in homes:
                wrong.append(f"{name} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_front_door_is_light():
    """`molfusion --help` must not wait for torch."""
    heavy = {"torch", "lightning", "rdkit", "numpy", "transformers", "omegaconf"}
    for name in ("__init__", "cli", "__main__"):
        top = ast.parse((ROOT / f"{name}.py").read_text()).body
        found = {n.name.split(".")[0] for node in top if isinstance(node, ast.Import) for n in node.names}
        assert not found & heavy, name

"""Every YAML under experiments/ and data_cards/, found by glob and known by its keys: a new file is checked at once.

Encoders alone are checked in test_contract.py; here they stand in a task, and everything else with them.
"""

import importlib
import inspect
import re
import typing
from pathlib import Path

import pytest
import torch
import yaml

from molfusion.baselines import baseline
from molfusion.build import SECTIONS, build
from molfusion.config import COMMAND_LINE, compose
from molfusion.data.card import load_card
from molfusion.encoders.base import Encoder
from molfusion.errors import MolfusionError
from molfusion.explain import check_names
from molfusion.paths import shipped
from molfusion.runner import Run
from molfusion.sweep.engine import check
from molfusion.sweep.lacking import told_by_cards
from molfusion.sweep.plan import plan

ROOT = shipped("experiments")
FILES = sorted(ROOT.rglob("*.yaml"))
CARDS = sorted(shipped("data_cards").rglob("*.yaml"))
BASE = ROOT / "base.yaml"
TINY = [compose([p]).tree for p in sorted((ROOT / "encoders" / "tiny").glob("*.yaml"))]
TINY.append(compose([ROOT / "papers" / "3m-diffusion" / "tiny" / "autoencoder.yaml"]).tree)  # where nothing else fits
TEXT = str(ROOT / "encoders" / "tiny" / "text.yaml")


def name(path):
    return path.relative_to(ROOT).with_suffix("").as_posix() if path.is_relative_to(ROOT) else path.stem


def kind(path):
    """What the file is, by its keys: a fragment is of an encoder, settings are of the trainer and the like."""
    tree = yaml.safe_load(path.read_text())
    if "tables" in tree or path.is_relative_to(ROOT / "sweeps"):
        return "sweep"
    keys = compose([path]).tree.keys()
    if "card" in keys:
        return "data"
    if "class_path" in keys:
        return "language" if compose([path]).tree["class_path"].endswith(".LanguageModel") else "fragment"
    if "model" in keys:  # under tasks/ with its slots left open, elsewhere a whole experiment
        return "task" if path.is_relative_to(ROOT / "tasks") else "experiment"
    return "settings" if keys <= SECTIONS.keys() else f"none known: {', '.join(keys)}"


KINDS = {path: kind(path) for path in FILES}


def of(*kinds):
    return pytest.mark.parametrize("path", [p for p, k in KINDS.items() if k in kinds], ids=name)


def test_every_file_is_of_a_kind_that_is_checked():
    checked = {"sweep", "task", "data", "fragment", "language", "settings"}
    assert checked <= set(KINDS.values())
    odd = {name(p): k for p, k in KINDS.items() if k not in {*checked, "experiment"}}
    assert not odd, "say in kind() what this file is, and check it"
    assert not list(ROOT.rglob("*.yml")), "`.yaml`, so that globs find it"


@pytest.mark.parametrize("path", [*FILES, *CARDS], ids=name)
def test_files_named_in_a_file_exist(path):
    """In its comments too: a reader follows them."""
    for mentioned in re.findall(r"(?<![}\w./-])[\w./-]+\.yaml", path.read_text()):
        places = [place / mentioned for place in (path.parent, ROOT, ROOT.parent)]
        # Not the reader's own files (`my/card.yaml`), nor what a run will write ({needs}/encoder.yaml).
        if any(place.parent.is_dir() for place in places) and Path(mentioned).name != "encoder.yaml":
            assert any(place.is_file() for place in places), f"{name(path)} names {mentioned}"


# -- filling the slots that a task leaves open -------------------------------------------------------


def imported(path):
    module, _, attribute = path.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def wanted(target):
    """Arguments without a default that take an encoder, with the class they take."""
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for key, parameter in inspect.signature(target).parameters.items():
        hint = hints.get(key)
        if parameter.default is parameter.empty and inspect.isclass(hint) and issubclass(hint, Encoder):
            yield key, hint


def open_slots(fragment, key):
    """Keys of the config, from `key` down, where an encoder must stand and none does."""
    if not isinstance(fragment, dict) or "class_path" not in fragment:
        return
    given = fragment.get("init_args") or {}
    for argument, hint in wanted(imported(fragment["class_path"])):
        if argument not in given:
            yield f"{key}.{argument}", hint
    for argument, value in given.items():
        yield from open_slots(value, f"{key}.{argument}")


def filled(files, overrides=()):
    """The config of these files, with a tiny encoder in every open slot and a text side where the task takes one."""
    config = compose([BASE, *files], overrides)
    model = config.tree["model"]
    slots = open_slots(model, "model")
    fits = [(key, next(t for t in TINY if issubclass(imported(t["class_path"]), hint))) for key, hint in slots]
    task = imported(model["class_path"])
    if "text" in inspect.signature(task).parameters and "text" not in model.get("init_args", {}):
        fits.append(("model.text", TEXT))
    return compose([], [*config.tree.items(), *fits, ("trainer.accelerator", "cpu"), ("trainer.devices", 1)])


def built(config, folder):
    """Trainer, task and data on the meta device: sizes do not matter; skipped where a download is missing."""
    try:
        with torch.device("meta"):
            return build(config, folder)
    except (MolfusionError, OSError) as error:
        lacking = re.search(r"(?:^|- )([^\n]{,200}?(from the hub|is not installed))", str(error).replace(" - ", "\n- "))
        if lacking is None:
            raise
        pytest.skip(f"needs what this machine lacks: {lacking[1]}")


PROPERTY = ROOT / "tasks" / "property.yaml"


# -- each kind of file -------------------------------------------------------------------------------


@of("data")
def test_data(path, tmp_path):
    found = built(filled([PROPERTY], [("data", str(path))]), tmp_path).data
    tree = compose([path]).tree
    assert found.card.name == tree["card"]
    assert found.batch_size == tree["batch_size"]
    assert [t.name for t in found.targets] == tree.get("targets", [t.name for t in found.card.target_list()])


@of("fragment")
def test_encoder_in_a_task(path, tmp_path):
    task = built(filled([PROPERTY], [("model.encoder", str(path))]), tmp_path).task
    assert isinstance(task.encoder, imported(compose([path]).tree["class_path"]))
    assert task.views == task.encoder.views
    assert task.views, "an encoder that reads nothing"


@of("language")
def test_language_model_in_a_task(path, tmp_path):
    task = built(filled([ROOT / "tasks" / "captioning.yaml"], [("model.lm", str(path))]), tmp_path).task
    assert task.lm.views < task.views
    assert task.connector.out_features == task.lm.dim


@of("experiment")
def test_experiment_builds(path, tmp_path):
    config = filled([path])
    check_names(config, SECTIONS)
    built(config, tmp_path)


@of("settings")
def test_settings(path, tmp_path):
    config = compose([PROPERTY, path])
    check_names(config, SECTIONS)
    if config.tree.get("trainer", {}).get("accelerator") in {"gpu", "cuda"} and not torch.cuda.is_available():
        pytest.skip("asks for a GPU; its names are right")
    built(compose([], [*filled([PROPERTY]).tree.items(), *compose([path]).tree.items()]), tmp_path)


@pytest.mark.slow
@of("task")
def test_task_runs(path, card, tmp_path):
    """One batch each of training, validation and test, then the export."""
    config = filled([path], ["trainer.fast_dev_run=true", ("data.card", str(card)), "data.batch_size=8"])
    result = Run(config, tmp_path / "run").fit()
    assert result["task"] == imported(config.tree["model"]["class_path"]).__name__
    assert result["cost"]["steps"] == 1
    for key in ("val/score", "test/score"):
        assert torch.isfinite(torch.tensor(result["metrics"][key])), key
    assert (tmp_path / "run" / "encoder.yaml").is_file()


@of("task")
def test_tasks_leave_data_and_encoder_open(path):
    """Each slot is filled once: a task says what is asked, not of whom and on what; it may say which molecules meet."""
    tree = compose([path]).tree
    assert set(tree) <= {"model", "trainer", "data"}
    assert set(tree.get("data", {})) <= {"alike", "together"}
    assert list(open_slots(tree["model"], "model")), f"{name(path)} already has its encoder"


@pytest.mark.slow
@of("sweep")
def test_sweep_builds(path, tmp_path):
    made = plan(path, tmp_path)
    states = check(made.cells, [])
    lacking = told_by_cards(made.cells)  # own_data.yaml: the card in the place of one's own has no numbers
    assert {key: state.reason for key, state in states.items() if state.status != "waiting"} == lacking
    assert not lacking or path.stem == "own_data"
    assert len(made.cells) == len(made.seeds) * sum(len(t.rows) for t in made.tables)
    assert len({c.folder for c in made.cells}) == len(made.cells), "two cells in one folder"


@of("sweep")
def test_sweep_refers_to_rows_that_exist(path, tmp_path):
    made = plan(path, tmp_path)
    for table in made.tables:
        cells = [c for c in made.cells if c.table == table.name]
        for cell in cells:
            assert set(cell.parts) <= set(table.rows), f"{cell.key}: parts {cell.parts}"
            assert not cell.control or cell.control in table.rows, f"{cell.key}: control {cell.control!r}"
        for task in {c.config.tree["model"]["class_path"].rpartition(".")[2] for c in cells}:
            for known in table.baselines:
                assert callable(baseline(task, known))


# -- cards -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CARDS, ids=name)
def test_card(path):
    card = load_card(str(path))
    assert card.name == path.stem
    for field in ("title", "licence", "cite"):
        text = getattr(card, field)
        assert len(text.split()) >= (1 if field == "licence" else 3), f"{field}: {text!r}"
    for split, spec in card.files.items():
        given = vars(spec)
        origin = [given[k] for k in ("path", "url", "hub") if given.get(k)]
        assert origin, f"{split}: neither path nor url"
        if given.get("url") or given.get("hub"):
            fixed = spec.sha256 or given.get("revision") or re.search(r"/[0-9a-f]{40}/", str(spec.url))
            assert fixed, f"{split}: a download that can change: give sha256, or an address with a commit"
    names = [t.name for t in card.target_list()]
    assert len(names) == len(set(names))
    assert load_card(path.stem).name == card.name, "found by its name"


def test_origin_is_the_file():
    """Errors about a shipped key name its file: nothing shipped counts as the command line."""
    for path in FILES:
        if KINDS[path] != "sweep":
            assert COMMAND_LINE not in compose([path]).origin.values()
    assert Path(compose([BASE]).source("trainer.devices")).samefile(BASE)

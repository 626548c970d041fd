import pytest
import yaml

from molfusion.config import ConfigError
from molfusion.sweep.plan import plan, resolved, slug
from molfusion.sweep.spec import read
from tests.sweep.helpers import PROPERTY, RETRIEVAL, write
from tests.tasks.helpers import FINGERPRINT, QFORMER

UNFILLED = {"class_path": QFORMER["class_path"], "init_args": {"queries": 2}}
ROWS = {
    "FP": {},
    "FP, longer": {"needs": "FP", "set": {"model.encoder": "{needs}/encoder.yaml"}},
    "QFormer(FP)": {
        "needs": "FP",
        "parts": ["FP"],
        "control": "FP, longer",
        "set": {"model.encoder": UNFILLED, "model.encoder.encoder": "{needs}/encoder.yaml"},
    },
}
TABLE = {"set": {"model": RETRIEVAL}, "rows": ROWS}


def planned(folder, tables, overrides=(), only=None, **top):
    return plan(write(folder, "card.yaml", tables, **top), folder / "out", overrides, only)


def by_key(made):
    return {cell.key: cell for cell in made.cells}


def mistake(folder, tables, **settings):
    """The message, which is one line and names the file."""
    with pytest.raises(ConfigError) as caught:
        planned(folder, tables, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"t": {"row": ROWS}}, "tables.t.row: unknown key; did you mean 'rows'?"),
        ({"t": {"rows": {"FP": {"need": "x"}}}}, "tables.t.rows.FP.need: unknown key; did you mean 'needs'?"),
        ({"t": {"zzz": 1}}, "tables.t.zzz: unknown key; known: about, axes, baselines"),
        ({"t": {"rows_of": {"tabel": "x"}}}, "tables.t.rows_of.tabel: unknown key; did you mean 'table'?"),
        ({"t": {"rows": {"FP": None}}}, "tables.t.rows.FP: expected a mapping, found nothing"),
        ({"t": {"rows": ["FP"]}}, "tables.t.rows: expected a mapping, found ['FP'] (list)"),
        ({"t": {"baselines": "chance"}}, "tables.t.baselines: expected a list, such as [chance], found 'chance' (str)"),
        ({"t": {"rows": {"FP": {"parts": "GIN"}}}}, "tables.t.rows.FP.parts: expected a list, such as [GIN]"),
        ({"t": {"axes": {"data.seed": 3}}}, "tables.t.axes.data.seed: expected a list of values, found 3"),
        ({"t": {"axes": {"data.seed": []}}}, "tables.t.axes.data.seed: expected a list of values, found []"),
        ({"t": {"rows": {}}}, None),  # one row that is the table's own config
        ({"../t": {"rows": {}}}, "tables.../t: it names a folder: write it as 't'"),
        ({}, "no rows: give `tables: {name: {rows: …}}`"),
    ],
    ids=lambda x: str(x)[:50],
)
def test_names_and_shapes(tables, expected, tmp_path):
    if expected is None:
        assert [c.key for c in planned(tmp_path, tables).cells] == ["t/t/0"]
    else:
        assert mistake(tmp_path, tables).removeprefix(f"{tmp_path / 'sweep.yaml'}: ").startswith(expected)


def test_top_level_keys_and_seeds(tmp_path):
    assert "sweep.yaml: tablse: unknown key; did you mean 'tables'?" in mistake(tmp_path, {}, tablse={})
    assert "seeds: expected a list, such as [3], found 3 (int)" in mistake(tmp_path, {"t": TABLE}, seeds=3)
    assert "seeds: 'a' is not a whole number" in mistake(tmp_path, {"t": TABLE}, seeds=["a"])


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match="no such sweep"):
        plan(tmp_path / "nowhere.yaml", tmp_path)
    for text, expected in (("a: [", "not valid YAML"), ("- a", "expected a mapping of keys")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError, match=expected):
            plan(tmp_path / "bad.yaml", tmp_path)


def test_a_chain_is_in_order_and_filled(tmp_path):
    probe = {"class_path": "molfusion.encoders.Frozen", "init_args": {}}
    tables = {
        "retrieval": TABLE,
        "property": {
            "set": {"model": {**PROPERTY, "init_args": {**PROPERTY["init_args"], "encoder": probe}}},
            "rows_of": {"table": "retrieval", "set": {"model.encoder.encoder": "{needs}/encoder.yaml"}},
        },
    }
    made = planned(tmp_path, tables, seeds=[0, 7])
    keys = [c.key for c in made.cells]
    assert keys == [f"{table}/{row}/{seed}" for table in ("retrieval", "property") for row in ROWS for seed in (0, 7)]
    cells = by_key(made)
    for cell in made.cells:
        assert cell.config.tree["seed_everything"] == cell.seed
        for needed in cell.needs.values():
            assert needed.seed == cell.seed
            assert keys.index(needed.key) < keys.index(cell.key)
    first, fused, probed = (cells[k] for k in ("retrieval/FP/7", "retrieval/QFormer(FP)/7", "property/QFormer(FP)/7"))
    assert fused.needs == {"needs": first}
    assert probed.needs == {"needs": fused}
    # The slot holds the needed run's encoder, restored from weights that do not exist yet …
    filled = fused.config.tree["model"]["init_args"]["encoder"]["init_args"]["encoder"]
    assert filled["class_path"] == "molfusion.encoders.restore"
    assert filled["init_args"]["encoder"] == FINGERPRINT
    assert filled["init_args"]["weights"] == f"run:{first.folder.name}/encoder.safetensors"
    # … and what is exported twice is restored once.
    twice = probed.config.tree["model"]["init_args"]["encoder"]["init_args"]["encoder"]
    assert twice["init_args"]["encoder"]["init_args"]["encoder"] == FINGERPRINT
    weights = resolved(fused).tree["model"]["init_args"]["encoder"]["init_args"]["encoder"]["init_args"]["weights"]
    assert weights == str((first.folder / "encoder.safetensors").resolve())


def test_rows_of_inherits_parts_and_control(tmp_path):
    later = {"set": {"model": PROPERTY}, "rows_of": {"table": "retrieval"}, "rows": {"Own": {}}}
    made = planned(tmp_path, {"retrieval": TABLE, "property": later})
    cells = by_key(made)
    for table in ("retrieval", "property"):
        cell = cells[f"{table}/QFormer(FP)/0"]
        assert (cell.parts, cell.control) == (("FP",), "FP, longer")
        assert cells[f"{table}/FP/0"].parts == ()
    assert cells["property/Own/0"].needs == {}
    assert "no table 'retrieva' before this one; did you mean 'retrieval'?" in mistake(
        tmp_path, {"retrieval": TABLE, "property": {"rows_of": {"table": "retrieva"}}}
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"needs": "FPP"}, "tables.t.rows.X.needs: no row 'FPP' before this one; did you mean 't/FP'?"),
        ({"needs": "s/FP"}, "tables.t.rows.X.needs: no row 's/FP' before this one; did you mean 't/FP'?"),
        ({"needs": "X"}, "tables.t.rows.X.needs: no row 'X' before this one"),
        ({"parts": ["FPP"]}, "tables.t.rows.X.parts: no row 'FPP' in this table; did you mean 'FP'?"),
        ({"control": "nothing"}, "tables.t.rows.X.control: no row 'nothing' in this table"),
        ({"set": {"model.encoder": "{needs}/encoder.yaml"}}, "'{needs}/encoder.yaml' without `needs`"),
        ({"needs": "FP", "set": {"model.encoder": "{needs}"}}, "expected {needs}/encoder.yaml"),
        ({"config": ["nowhere.yaml"]}, "tables.t.rows.X: no such config file"),
    ],
)
def test_a_row_that_names_what_is_not_there(row, expected, tmp_path):
    tables = {"t": {"set": {"model": RETRIEVAL}, "rows": {"FP": {}, "X": row}}}
    assert expected in mistake(tmp_path, tables)


def test_a_row_that_asks_a_trained_run_anew(tmp_path):
    """Its config is that run's, under the settings of the table it stands in and its own."""
    asked = {"X": {"trained": "t/FP", "set": {"data.batch_size": 4}}}
    tables = {
        "t": {"set": {"model": RETRIEVAL}, "rows": {"FP": {}, "QFormer(FP)": {"parts": ["FP"]}}},
        "u": {"set": {"data.train_fraction": 0.5}, "rows": asked, "axes": {"model.temperature": [0.1, 0.2]}},
        "v": {"rows_of": {"table": "t", "trained": True, "set": {"data.batch_size": 2}}},
    }
    cells = by_key(planned(tmp_path, tables, seeds=[0, 1]))
    first, point = cells["t/FP/1"], cells["u/X temperature=0.2/1"]
    assert point.trained is first
    assert first.trained is None
    tree = point.config.tree
    assert (tree["seed_everything"], tree["data"]["batch_size"], tree["data"]["train_fraction"]) == (1, 4, 0.5)
    assert tree["model"]["init_args"] == {**first.config.tree["model"]["init_args"], "temperature": 0.2}
    other = cells["v/QFormer(FP)/0"]
    assert other.trained is cells["t/QFormer(FP)/0"]
    assert other.parts == ("FP",)
    for wrong, expected in (
        ({"trained": "FPP"}, "tables.w.rows.Y.trained: no row 'FPP' before this one"),
        ({"needs": "v/FP"}, "tables.w.rows.Y.needs: 'v/FP' is only asked; name 't/FP', which is trained"),
        ({"trained": "v/FP"}, "tables.w.rows.Y.trained: 'v/FP' is only asked; name 't/FP', which is trained"),
    ):
        assert expected in mistake(tmp_path, {**tables, "w": {"rows": {"Y": wrong}}})


def test_labels_with_a_slash_are_found_in_their_own_table_first(tmp_path):
    rows = {"a/b": {}, "c": {"needs": "a/b", "set": {"model.text": "{needs}/text.yaml"}}}
    cells = by_key(planned(tmp_path, {"t": {"set": {"model": RETRIEVAL}, "rows": rows}}))
    assert cells["t/c/0"].needs["needs"] is cells["t/a/b/0"]


def test_a_row_built_on_two(tmp_path):
    """Each name in braces is filled by its own row; steps and `--only` know both."""
    parts = {"query": "FP", "context": "FP, longer"}
    fused = {"model.encoder": "{query}/encoder.yaml", "model.text": "{context}/text.yaml"}
    rows = {**ROWS, "Both": {"needs": parts, "set": fused}}
    cells = by_key(planned(tmp_path, {"t": {"set": {"model": RETRIEVAL}, "rows": rows}}))
    both = cells["t/Both/0"]
    assert {slot: cell.key for slot, cell in both.needs.items()} == {"query": "t/FP/0", "context": "t/FP, longer/0"}
    model = both.config.tree["model"]["init_args"]
    first, second = cells["t/FP/0"].folder.name, cells["t/FP, longer/0"].folder.name
    assert model["encoder"]["init_args"]["weights"] == f"run:{first}/encoder.safetensors"
    assert model["text"]["init_args"]["weights"] == f"run:{second}/text.safetensors"
    homes = resolved(both).tree["model"]["init_args"]["encoder"]["init_args"]["weights"]
    assert homes == str((cells["t/FP/0"].folder / "encoder.safetensors").resolve())
    expected = "'{other}/encoder.yaml' without `needs` of that name: query, context"
    bad = {**ROWS, "Both": {"needs": parts, "set": {"model.encoder": "{other}/encoder.yaml"}}}
    assert expected in mistake(tmp_path, {"t": {"set": {"model": RETRIEVAL}, "rows": bad}})


def test_axes_make_a_product(tmp_path):
    axes = {"model.width": [8, 16], "trainer.max_epochs": [1, 2, 3]}
    made = planned(tmp_path, {"t": {"set": {"model": RETRIEVAL}, "rows": {"FP": {}, "Other": {}}, "axes": axes}})
    points = [(w, e) for w in (8, 16) for e in (1, 2, 3)]
    assert made.tables[0].rows == [f"{row} width={w} max_epochs={e}" for row in ("FP", "Other") for w, e in points]
    found = [(c.config.tree["model"]["init_args"]["width"], c.config.tree["trainer"]["max_epochs"]) for c in made.cells]
    assert found == points * 2
    assert len({c.folder for c in made.cells}) == 12


def test_axes_without_rows_and_with_files(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(FINGERPRINT | {"init_args": {"bits": len(name)}}))
    table = {"set": {"model": RETRIEVAL}, "axes": {"model.encoder": ["one.yaml", "./two.yaml"]}}
    assert planned(tmp_path, {"t": table}).tables[0].rows == ["encoder=one", "encoder=two"]
    table["axes"]["model.encoder"] = ["one.yaml", "./one.yaml"]
    assert "two runs are 'encoder=one' with seed 0: name them apart" in mistake(tmp_path, {"t": table})


def test_along_axes_a_fusion_has_its_parts_at_the_same_point(tmp_path):
    table = TABLE | {"axes": {"model.temperature": [0.1, 0.2]}}
    rows_of = {"set": {"model": PROPERTY}, "rows_of": {"table": "t"}}
    cells = by_key(planned(tmp_path, {"t": table, "p": rows_of}))
    for point in ("temperature=0.1", "temperature=0.2"):
        for name in ("t", "p"):
            fused = cells[f"{name}/QFormer(FP) {point}/0"]
            assert (fused.parts, fused.control) == ((f"FP {point}",), f"FP, longer {point}")
        assert cells[f"t/QFormer(FP) {point}/0"].needs["needs"] is cells[f"t/FP {point}/0"]
        assert cells[f"p/FP {point}/0"].needs["needs"] is cells[f"t/FP {point}/0"]


def test_only_keeps_what_is_needed(tmp_path):
    rows = {**ROWS, "Deeper": {"needs": "FP, longer", "set": {"model.text": "{needs}/text.yaml"}}, "Else": {}}
    tables = {"t": {**TABLE, "rows": rows}, "u": TABLE}
    made = planned(tmp_path, tables, only={"table": {"t"}, "row": {"Deeper"}, "seed": {"1"}}, seeds=[0, 1])
    assert [c.key for c in made.cells] == ["t/FP/1", "t/FP, longer/1", "t/Deeper/1"]
    assert [t.name for t in made.tables] == ["t"]


def test_only_what_there_is(tmp_path):
    assert "--only row=FPP: no such row; did you mean 'FP'?" in mistake(tmp_path, {"t": TABLE}, only={"row": {"FPP"}})
    assert "--only seed=3: no such seed" in mistake(tmp_path, {"t": TABLE}, only={"seed": {"3"}})
    tables = {"t": TABLE, "u": {"set": {"model": RETRIEVAL}, "rows": {"Else": {}}}}
    assert "together these keep no run" in mistake(tmp_path, tables, only={"table": {"t"}, "row": {"Else"}})


def test_later_layers_win_and_overrides_last(tmp_path):
    (tmp_path / "base.yaml").write_text("data: {batch_size: 1, seed: 5}\n")
    table = {"set": {"model": RETRIEVAL, "data.batch_size": 3}, "rows": {"A": {"set": {"data.batch_size": 4}}, "B": {}}}
    cells = by_key(planned(tmp_path, {"t": table}, config=["base.yaml"]))
    assert [cells[f"t/{row}/0"].config.tree["data"]["batch_size"] for row in "AB"] == [4, 3]
    assert cells["t/A/0"].config.tree["data"]["seed"] == 5
    changed = by_key(planned(tmp_path, {"t": table}, ["data.batch_size=2"], config=["base.yaml"]))
    assert changed["t/A/0"].config.tree["data"]["batch_size"] == 2
    assert changed["t/A/0"].folder != cells["t/A/0"].folder  # another config, another run


def test_a_folder_is_named_by_what_is_run_not_by_where(tmp_path):
    """The same sweep elsewhere, or with an unrelated row beside it, has the same runs."""
    one = by_key(planned(tmp_path, {"t": TABLE}))
    rows = {"New": {}, **ROWS}
    two = by_key(plan(write(tmp_path, "card.yaml", {"t": {**TABLE, "rows": rows}}), tmp_path / "elsewhere"))
    for key, cell in one.items():
        assert cell.folder.relative_to(tmp_path / "out") == two[key].folder.relative_to(tmp_path / "elsewhere")


def test_slug():
    assert slug("QFormer(UniMol), random weights") == "QFormer_UniMol_random_weights"
    assert slug("a/../b") == "a_.._b"
    assert slug("../..") == slug("..") == "run"
    assert slug("<>") == "run"


def test_a_sweep_over_another(tmp_path):
    """The base lies elsewhere and names a file beside itself; null takes a row away, what is not named stays."""
    home, mine = tmp_path / "home", tmp_path / "mine" / "deep"
    home.mkdir()
    mine.mkdir(parents=True)
    (home / "task.yaml").write_text(yaml.safe_dump({"model": RETRIEVAL}))
    base = write(home, "card.yaml", {"retrieval": {"config": ["task.yaml"], "rows": ROWS}}, seeds=[0, 1])
    own = {"extends": "../../home/" + base.name, "seeds": [4], "set": {"data.batch_size": 7, "data.sentences": None},
           "tables": {"retrieval": {"rows": {"QFormer(FP)": None, "wide": {"set": {"model.width": 48}}}}}}  # fmt: skip
    (mine / "own.yaml").write_text(yaml.safe_dump(own))
    found = by_key(plan(mine / "own.yaml", mine / "out"))
    assert set(found) == {"retrieval/FP/4", "retrieval/FP, longer/4", "retrieval/wide/4"}
    trees = {key: cell.config.tree for key, cell in found.items()}
    assert all(tree["data"]["batch_size"] == 7 for tree in trees.values())
    assert all(tree["data"]["sentences"] is None for tree in trees.values())
    assert trees["retrieval/wide/4"]["model"]["init_args"]["width"] == 48
    assert trees["retrieval/FP/4"]["model"]["class_path"] == RETRIEVAL["class_path"]


def test_a_long_text_is_no_path(tmp_path):
    """Some systems refuse to look for a file whose name is that long."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({"about": "and so on / " * 99}))
    (tmp_path / "own.yaml").write_text("extends: base.yaml")
    assert read(tmp_path / "own.yaml")["about"] == "and so on / " * 99


def test_sweeps_that_extend_each_other_are_refused(tmp_path):
    for name, other in (("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")):
        (tmp_path / name).write_text(f"extends: {other}")
    with pytest.raises(ConfigError, match="in a circle"):
        plan(tmp_path / "a.yaml", tmp_path / "out")

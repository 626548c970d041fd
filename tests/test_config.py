import pytest

from molfusion.config import ConfigError, compose, digest


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_extends_comes_before(tmp_path):
    write(tmp_path, "base.yaml", "a: 1\nb: {c: 2, d: 3}\n")
    top = write(tmp_path, "top.yaml", "extends: base.yaml\nb: {c: 5}\n")
    made = compose([top])
    assert made.tree == {"a": 1, "b": {"c": 5, "d": 3}}
    assert made.source("b.c").endswith("top.yaml")
    assert made.source("b.d").endswith("base.yaml")


def test_fragments_are_found_beside_the_file_that_names_them(tmp_path):
    write(tmp_path, "encoders/inner.yaml", "class_path: a.Inner\ninit_args: {size: 3}\n")
    write(tmp_path, "encoders/outer.yaml", "class_path: a.Outer\ninit_args: {encoder: inner.yaml}\n")
    top = write(tmp_path, "top.yaml", "model: {init_args: {encoder: encoders/outer.yaml}}\n")
    made = compose([top])
    inner = made.tree["model"]["init_args"]["encoder"]["init_args"]["encoder"]
    assert inner == {"class_path": "a.Inner", "init_args": {"size": 3}}
    assert made.source("model.init_args.encoder.init_args.encoder.init_args.size").endswith("inner.yaml")


def test_a_changed_class_drops_the_old_arguments(tmp_path):
    first = write(tmp_path, "a.yaml", "e: {class_path: x.A, init_args: {dim: 16}}\n")
    second = write(tmp_path, "b.yaml", "e: {class_path: x.B}\n")
    assert compose([first, second]).tree == {"e": {"class_path": "x.B"}}
    assert compose([first], ["e.class_path=x.C"]).tree == {"e": {"class_path": "x.C"}}


def test_a_named_fragment_replaces_what_stood_there_even_of_its_own_class(tmp_path):
    """A mapping or a key changes it; a fragment without a class, such as settings of the data, is merged."""
    large = write(tmp_path, "large.yaml", "class_path: x.LM\ninit_args: {dim: 512, layout: odd, lora: {rank: 4}}\n")
    small = write(tmp_path, "small.yaml", "class_path: x.LM\ninit_args: {dim: 16}\n")
    given = write(tmp_path, "a.yaml", f"model: {{lm: {large}}}\n")
    plain = {"class_path": "x.LM", "init_args": {"dim": 16}}
    found = compose([given], [f"model.lm={small}"])
    assert found.tree == {"model": {"lm": plain}}
    assert not any("layout" in key for key in found.origin)
    assert type(found.tree["model"]["lm"]) is dict
    later = write(tmp_path, "b.yaml", f"extends: a.yaml\nmodel: {{lm: {small}}}\n")
    assert compose([later]).tree == {"model": {"lm": plain}}
    changed = compose([given], [f"model.lm={small}", "model.lm.layout=plain"]).tree["model"]["lm"]
    assert changed["init_args"] == {"dim": 16, "layout": "plain"}
    merged = compose([given], [("model.lm", {"class_path": "x.LM", "init_args": {"dim": 8}})]).tree["model"]["lm"]
    assert merged["init_args"] == {"dim": 8, "layout": "odd", "lora": {"rank": 4}}
    data = write(tmp_path, "data.yaml", "card: demo\n")
    base = write(tmp_path, "base.yaml", "data: {seed: 3}\n")
    assert compose([base], [f"data={data}"]).tree == {"data": {"seed": 3, "card": "demo"}}


def test_overrides_find_their_way_through_init_args(tmp_path):
    path = write(tmp_path, "a.yaml", "model: {class_path: x.T, init_args: {encoder: {class_path: x.E}}}\n")
    made = compose([path], ["model.encoder.layers=3", "data.batch_size=32"])
    assert made.tree["model"]["init_args"]["encoder"]["init_args"] == {"layers": 3}
    assert made.tree["data"] == {"batch_size": 32}
    assert made.source("data.batch_size") == "command line"


def test_interpolation_sees_overrides(tmp_path):
    path = write(tmp_path, "a.yaml", "seed: 0\ndata: {seed: '${seed}'}\n")
    assert compose([path], ["seed=7"]).tree["data"]["seed"] == 7


def test_relative_paths_start_at_the_file(tmp_path):
    path = write(tmp_path, "deep/a.yaml", "weights: ./w.safetensors\ncard: my.yaml\n")
    made = compose([path])
    assert made.tree["weights"] == str(tmp_path / "deep" / "w.safetensors")
    assert made.tree["card"] == "my.yaml"  # a card is named, not spliced in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", r"not valid YAML"),
        ("- 1\n", r"expected a mapping"),
        ("extends: nowhere.yaml\n", r"no such config file: .*nowhere.yaml"),
        ("extends: a.yaml\n", r"circle"),
        ("a: ${nowhere}\n", r"a\.yaml: a: Interpolation key 'nowhere' not found"),
        ("a: ${oc.env:HOME}\n", r"no resolver"),
    ],
)
def test_mistakes_are_one_line_with_the_file(tmp_path, text, expected):
    path = write(tmp_path, "a.yaml", text)
    with pytest.raises(ConfigError, match=expected) as caught:
        compose([path])
    assert "\n" not in str(caught.value)


def test_digest_counts_files_by_content(tmp_path):
    weights = write(tmp_path, "w.bin", "one")
    path = write(tmp_path, "a.yaml", "weights: ./w.bin\n")
    first = digest(compose([path]).tree)
    (tmp_path / "moved").mkdir()
    moved = write(tmp_path / "moved", "a.yaml", "weights: ./w.bin\n")
    write(tmp_path / "moved", "w.bin", "one")
    assert digest(compose([moved]).tree) == first
    weights.write_text("two")
    assert digest(compose([path]).tree) != first
    assert digest({"prompt": "this / that " * 99}) != first  # a text longer than any name of a file


def test_shipped_configs_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert compose(["experiments/base.yaml"]).tree["seed_everything"] == 0

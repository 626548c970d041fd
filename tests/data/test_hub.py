from pathlib import Path

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molfusion.data.card import CardError, load_card
from molfusion.data.fetch import fetch
from molfusion.data.records import load_records

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOLFUSION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has one dataset of two shards, and remembers what it was asked."""
    folder = tmp_path / "hub" / "snapshots" / COMMIT
    for i, smiles in enumerate(("CCO", "CCN")):
        (folder / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"s": [smiles], "t": [f"Text {i}."]}), folder / "data" / f"train-{i}.parquet")
    asked = []

    def snapshot_download(name, **arguments):
        asked.append((name, arguments))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def card(folder, spec="{hub: owner/name, path: 'data/train-*.parquet', rows: 2}"):
    path = folder / "card.yaml"
    path.write_text(f"name: x\nlicence: MIT\nfiles: {{train: {spec}}}\ncolumns: {{smiles: s, text: t}}\n")
    return load_card(str(path))


def test_a_dataset_by_name(tmp_path, hub):
    x = card(tmp_path)
    with pytest.raises(CardError, match=r"dataset owner/name .* is not on this machine: `molfusion cards fetch`"):
        x.path_of("train")
    (found,) = fetch(x)
    assert found.sha256 == COMMIT
    assert [r.text for r in load_records(x, tmp_path / "cache").records] == ["Text 0.", "Text 1."]
    assert hub[0][1]["allow_patterns"] == ["data/train-*.parquet"]
    assert hub[0][1]["repo_type"] == "dataset"
    assert all(a["local_files_only"] and a["revision"] == COMMIT for _, a in hub[1:])


def test_a_lost_shard_is_noticed(tmp_path, hub):
    x = card(tmp_path)
    fetch(x)
    Path(x.paths_of("train")[1]).unlink()
    with pytest.raises(CardError, match=r"train-1\.parquet was fetched but is gone"):
        x.paths_of("train")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{hub: owner/name}", "name the file within it"),
        ("{hub: owner/name, path: ../train.parquet}", "name the file within it"),
        ("{hub: owner/name, path: train.pkl}", "is no data file"),
        ("{hub: owner/name, path: load.py}", "is no data file"),
        ("{hub: owner/name, path: absent.csv}", "has no file 'absent.csv'"),
    ],
)
def test_mistakes_are_named(tmp_path, hub, spec, expected):
    with pytest.raises(CardError, match=expected):
        fetch(card(tmp_path, spec))


def test_offline_is_one_clear_line(tmp_path, monkeypatch):
    def snapshot_download(*_, **__):
        raise ConnectionError("offline mode is enabled")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(CardError, match=r"cannot be downloaded \(offline mode is enabled\): .* `path:`") as caught:
        fetch(card(tmp_path))
    assert "\n" not in str(caught.value)

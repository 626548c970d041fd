import gzip
import hashlib
import io
import tarfile
import urllib.error
import urllib.request
import zipfile

import pytest

from molfusion.data.card import CardError, load_card
from molfusion.data.fetch import HttpsOnly, fetch
from molfusion.data.records import load_records

DATA = b"s\nCCO\nCCN\n"
URL = "https://example.org/a/data.csv"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOLFUSION_CACHE", str(tmp_path / "cache"))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def card(folder, spec, root=None):
    path = folder / "card.yaml"
    path.write_text(f"name: x\nlicence: MIT\nfiles: {{train: {spec}}}\ncolumns: {{smiles: s}}\n")
    return load_card(str(path), root)


def serving(data):
    asked = []

    def opener(url):
        asked.append(url)
        return io.BytesIO(data)

    opener.asked = asked
    return opener


def files_in(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_a_file_is_downloaded_once_and_then_read(tmp_path):
    x = card(tmp_path, f"{{url: '{URL}', sha256: {digest(DATA)}}}")
    with pytest.raises(CardError, match="`molfusion cards fetch x` downloads it"):
        x.path_of("train")
    opener = serving(DATA)
    (first,) = fetch(x, opener=opener)
    (again,) = fetch(x, opener=opener)
    assert (first.new, again.new, opener.asked) == (True, False, [URL])
    assert first.path == x.path_of("train")
    assert first.path.is_relative_to(tmp_path / "cache")
    assert [r.smiles for r in load_records(x, tmp_path / "cache").records] == ["CCO", "CCN"]


def test_another_file_than_the_card_means_is_not_kept(tmp_path):
    x = card(tmp_path, f"{{url: '{URL}', sha256: {digest(b'other')}}}")
    with pytest.raises(CardError, match=r"file train: .* has sha256 .* not kept"):
        fetch(x, opener=serving(DATA))
    assert files_in(tmp_path / "cache") == []


def test_no_checksum_needs_a_word(tmp_path):
    x = card(tmp_path, f"{{url: '{URL}'}}")
    with pytest.raises(CardError, match=r"names no sha256 .* --unchecked"):
        fetch(x, opener=serving(DATA))
    (found,) = fetch(x, unchecked=True, opener=serving(DATA))
    assert found.sha256 == digest(DATA)


def test_only_https(tmp_path):
    x = card(tmp_path, f"{{url: '{URL.replace('https', 'http')}', sha256: {digest(DATA)}}}")
    with pytest.raises(CardError, match="is not https"):
        fetch(x, opener=serving(DATA))
    request = urllib.request.Request(URL)
    with pytest.raises(CardError, match="redirects to http://"):
        HttpsOnly().redirect_request(request, io.BytesIO(), 302, "Found", {}, "http://example.org/data.csv")
    with pytest.raises(CardError, match="redirects to file://"):
        HttpsOnly().redirect_request(request, io.BytesIO(), 302, "Found", {}, "file:///etc/passwd")
    assert HttpsOnly().redirect_request(request, io.BytesIO(), 302, "Found", {}, "https://b.org/x").full_url == "https://b.org/x"


@pytest.mark.parametrize("last", ["", "..", ".hidden", "a%2F..%2F..%2F.b", "a b.csv"])
def test_a_name_cannot_leave_the_cache(tmp_path, last):
    x = card(tmp_path, f"{{url: 'https://example.org/{last}', sha256: {digest(DATA)}}}")
    with pytest.raises(CardError, match="is not a plain file name"):
        fetch(x, opener=serving(DATA))


def test_sizes_are_capped(tmp_path):
    x = card(tmp_path, f"{{url: '{URL}', sha256: {digest(DATA)}}}")
    with pytest.raises(CardError, match="is larger than 5 bytes"):
        fetch(x, opener=serving(DATA), limit=5)
    bomb = gzip.compress(b"s\n" + b"C\n" * 100_000)
    x = card(tmp_path, f"{{url: '{URL}.gz', sha256: {digest(bomb)}}}")
    with pytest.raises(CardError, match="unpacks to more than 1,000 bytes"):
        fetch(x, opener=serving(bomb), limit=1000)
    half = bomb[:-10]
    x = card(tmp_path, f"{{url: '{URL}.gz', sha256: {digest(half)}}}")
    with pytest.raises(CardError, match="not a whole gzip file"):
        fetch(x, opener=serving(half))
    assert files_in(tmp_path / "cache") == []


def archives():
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("in/data.csv", DATA)
        box.writestr("../../evil.csv", DATA)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as tar:
        for name in ("in/data.csv", "../../evil.csv"):
            info = tarfile.TarInfo(name)
            info.size = len(DATA)
            tar.addfile(info, io.BytesIO(DATA))
        tar.addfile(folder := tarfile.TarInfo("in/folder.csv"))
        folder.type = tarfile.DIRTYPE
    return {"a.zip": zipped.getvalue(), "a.tar.gz": tarred.getvalue()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_one_member_is_taken_out_of_an_archive(tmp_path, name):
    data = archives()[name]
    spec = f"{{url: 'https://example.org/{name}', member: %s, sha256: {digest(data)}}}"
    (found,) = fetch(card(tmp_path, spec % "in/data.csv"), opener=serving(data))
    assert found.path.read_bytes() == DATA
    assert files_in(tmp_path / "cache") == ["data.csv"]
    (found,) = fetch(card(tmp_path, spec % "'../../evil.csv'"), opener=serving(data))
    assert found.path.is_relative_to(tmp_path / "cache")
    with pytest.raises(CardError, match=r"has no member 'absent\.csv'"):
        fetch(card(tmp_path, spec % "absent.csv"), opener=serving(data))
    with pytest.raises(CardError, match=r"unpacks to more than 4 bytes|larger than 4 bytes"):
        fetch(card(tmp_path, (spec % "in/data.csv").replace("example", "other")), opener=serving(data), limit=4)
    wrong = card(tmp_path, f"{{url: 'https://w.org/{name}', member: in/data.csv, sha256: {digest(b'')}}}")
    with pytest.raises(CardError, match="has sha256"):
        fetch(wrong, opener=serving(data))


def test_no_connection_is_one_clear_line(tmp_path):
    def opener(url):
        raise urllib.error.URLError("no route to host")

    x = card(tmp_path, f"{{url: '{URL}', sha256: {digest(DATA)}}}")
    with pytest.raises(CardError, match=r"cannot be downloaded \(no route to host\): .* --root") as caught:
        fetch(x, opener=opener)
    assert "\n" not in str(caught.value)


def test_a_file_at_hand_is_used_before_the_url(tmp_path):
    x = card(tmp_path, f"{{path: data.csv, url: '{URL}', sha256: {digest(DATA)}}}")
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(DATA))  # gzipped is as good: the checksum is of its content
    (found,) = fetch(x, opener=serving(b""))
    assert (found.new, found.path) == (False, tmp_path / "data.csv.gz")
    assert len(load_records(x, tmp_path / "cache").records) == 2
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(DATA + b"C\n"))
    with pytest.raises(CardError, match="has sha256"):
        x.path_of("train")
    with pytest.raises(CardError, match="has no url"):
        fetch(card(tmp_path, "{path: absent.csv}"), opener=serving(b""))


def test_an_optional_file_may_be_absent(tmp_path, caplog):
    (tmp_path / "a.csv").write_bytes(DATA)
    path = tmp_path / "card.yaml"
    path.write_text(
        "name: opt\nlicence: MIT\ncolumns: {smiles: s}\nsplit: {by: random}\n"
        "files: {a: {path: a.csv}, b: {path: b.csv, optional: true}}\n"
    )
    x = load_card(str(path))
    without = x.digest()
    assert len(load_records(x, tmp_path / "cache").records) == 2
    assert "optional file 'b' is not here" in caplog.text
    (tmp_path / "b.csv").write_bytes(b"s\nCCC\n")
    assert x.digest() != without
    assert len(load_records(x, tmp_path / "cache").records) == 3

"""Catalog files: what a row means, and that a bad one is named in full before anything is fetched."""
import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.weights.catalog import Catalog, own_catalog, read_catalog
from pose_tools.weights.entries import Source, check_relative, parse_source

SHA = "0f" * 32


def written(tmp_path, text):
    (tmp_path / "catalog.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "catalog.yaml"


@pytest.mark.parametrize("text, source", [
    ("https://example.org/a%20b.pth", Source("url", "https://example.org/a%20b.pth")),
    ("hf:user/repo", Source("hf", "user/repo")),
    ("hf:user/repo@v1.0#sub/a.pth", Source("hf", "user/repo", "sub/a.pth", "v1.0")),
    ("git+https://example.org/r.git@models#a.pth", Source("git", "https://example.org/r.git", "a.pth", "models")),
    ("git+git@example.org:user/r.git@feature/x#a.pth",
     Source("git", "git@example.org:user/r.git", "a.pth", "feature/x")),
    ("archive+https://example.org/x@2.zip#in/a.pth", Source("archive", "https://example.org/x@2.zip", "in/a.pth")),
    ("../mirror/a.pth", Source("file", "../mirror/a.pth")),
    (r"D:\models\a.pth", Source("file", r"D:\models\a.pth")),
])
def test_sources_are_read_and_written_alike(text, source):
    assert parse_source(text) == source
    assert str(source) == text


@pytest.mark.parametrize("text, word", [
    ("ftp://example.org/a.pth", "not a source"), ("", "not a source"), ("hf:repo#a.pth", "USER/REPO"),
    ("git+https://example.org/r.git#a.pth", "branch"), ("git+--upload-pack=touch@x#a", "dash"),
    ("git+https://example.org/r@-x#a", "branch|dash"), ("hf:u/r#../a", "relative"), ("hf:u/r#/a", "relative"),
    ("archive+#a", "no address"), ("ext::sh -c id", "not a source"),
])
def test_what_is_no_source_is_refused(text, word):
    if text.startswith("ext::"):
        assert parse_source(text).kind == "file"  # a path, which is not there; git is never asked
        return
    with pytest.raises(ValueError, match=word):
        parse_source(text)


def test_places_become_sources_of_files():
    assert str(parse_source("hf:u/r@v1").below("a/b.pth")) == "hf:u/r@v1#a/b.pth"
    assert str(parse_source("hf:u/r#sub/").below("b.pth")) == "hf:u/r#sub/b.pth"
    assert str(parse_source("https://example.org/m").below("a b#c.pth")) == "https://example.org/m/a%20b%23c.pth"
    assert str(parse_source("/mirror").below("a b.pth")) == "/mirror/a b.pth"


@pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "a//b", "a/", ".", "", "a\\b", "C:/a", "~/a", "a\x00b", "a?",
                                  "a./b", ".downloads/x", "a /b"])
def test_paths_that_could_leave_their_folder(path):
    with pytest.raises(ValueError):
        check_relative(path)


@pytest.mark.parametrize("path", ["a.pth", "a/b c.pth", "模型/權重.pth", ".hidden", "a..b/c", "a(1).pth"])
def test_plain_paths(path):
    assert check_relative(path) == path


def test_a_catalog_of_ones_own(tmp_path):
    entries = read_catalog(written(tmp_path, f"""
valve:
  title: Valves
  licence: MIT
  metrics: {{AP: 0.5}}
  places: [., 'hf:user/valves']
  files:
    - path: valve-0f0f0f0f_20261121.pth
      size: 10
      sha256: '{SHA}'
      sources: [../elsewhere/v.pth, 'http://intranet.example/v.pth']
    - {{path: config.json}}
"""))
    valve = entries["valve"]
    first, second = valve.files
    assert [str(source) for source in first.sources] == [
        str(tmp_path / "../elsewhere/v.pth"), "http://intranet.example/v.pth",
        f"{tmp_path}/valve-0f0f0f0f_20261121.pth", "hf:user/valves#valve-0f0f0f0f_20261121.pth"]
    assert (first.size, first.sha256, second.sha256, valve.size) == (10, SHA, None, None)
    assert (valve.title, valve.metrics, valve.folder, valve.catalog) == (
        "Valves", {"AP": 0.5}, ".", str(tmp_path / "catalog.yaml"))
    assert read_catalog(tmp_path) == entries


def test_the_digits_of_a_name_count(tmp_path):
    path = written(tmp_path, "m:\n  places: [.]\n  files: [{path: m-0a0b0c0d_20261121.pth}]\n")
    assert read_catalog(path)["m"].files[0].sha256 == "0a0b0c0d"


def test_all_faults_at_once(tmp_path):
    path = written(tmp_path, """
"bad name":
  files: [{path: a.pth, sources: [x]}]
no-files: {title: 3, licens: MIT}
list: [1]
paths:
  places: [., 'ftp://x']
  folder: ~/.ssh
  metrics: {AP: high, AR: .nan}
  files:
    - {path: ../up.pth}
    - {path: a.pth, size: -1, sha256: 12345678}
    - {path: A.pth, sha256: zz}
    - {path: m-0a0b0c0d_20261121.pth, sha256: '11111111', sise: 3}
    - {size: 3}
nowhere:
  files: [{path: a.pth}]
plain:
  files: [{path: a-0a0b0c0d.pth, sources: ['http://example.org/a.pth', 'git+http://example.org/r@b#a']}]
""")
    with pytest.raises(FaultsError) as caught:
        read_catalog(path)
    text = str(caught.value)
    for words in ("bad name: is no name for a model", "no-files: title is 3", "'licens', which means nothing here; "
                  "'licence'?", "no-files: has no list of files", "list: is not a mapping", "'ftp://x' is not a source",
                  "folder '~/.ssh'", "metrics are not numbers", "file 1: path '../up.pth'", "size is -1",
                  "sha256 is 12345678; 8 to 64 hex digits are expected, in quotes", "sha256 is 'zz'",
                  "sha256 starts with 11111111, and the name says 0a0b0c0d", "'sise'", "file 5 has no path",
                  "has 'a.pth' 2 times", "nowhere: a.pth: there is nowhere", "http://example.org/a.pth is http without",
                  "http://example.org/r is http without", "only 8 digits"):
        assert words in text, words
    assert text.count("\n") == len(caught.value.faults) and all(str(path) in line for line in text.split("\n")[:-1])


@pytest.mark.parametrize("text, word", [
    ("a: {files: [}", "line 1"), ("a: 1\na: 2\n", "line 2: .*'a' stands there twice"), ("- a\n", "names of models"),
    ("", "names of models"), ("a: !!python/object/apply:os.system [id]", "line 1"), ("a: *x", "line 1"),
])
def test_what_is_no_catalog_is_one_line(tmp_path, text, word):
    with pytest.raises(UserError, match=word) as caught:
        read_catalog(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_unreadable_catalogs(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfea")
    for path, word in ((tmp_path / "none.yaml", "no such catalog"), (tmp_path / "bytes.yaml", "UTF-8")):
        with pytest.raises(UserError, match=word):
            read_catalog(path)


def test_a_catalog_from_elsewhere_names_nothing_of_this_machine(tmp_path):
    path = written(tmp_path, "m:\n  places: [.]\n  files: [{path: a.pth}, {path: b.pth, sources: [sub/c.pth]}]\n")
    files = read_catalog(path, parse_source("hf:user/repo"))["m"].files
    assert [str(source) for file in files for source in file.sources] == [
        "hf:user/repo#a.pth", "hf:user/repo#sub/c.pth", "hf:user/repo#b.pth"]
    for bad in ("/etc/passwd", "../x", "~/x", "archive+x.zip#a"):
        written(tmp_path, f"m:\n  files: [{{path: a.pth, sources: ['{bad}']}}]\n")
        with pytest.raises(FaultsError, match="m: a.pth: "):
            read_catalog(path, parse_source("hf:user/repo"))


def test_names_are_found_and_near_ones_offered(tmp_path):
    mine = read_catalog(written(tmp_path, "rtmpose-s:\n  title: mine\n  places: [.]\n  files: [{path: a.pth}]\n"))
    catalog = Catalog([mine])
    assert catalog.find("rtmpose-s").title == "mine"
    assert catalog.find("rtmdet-tiny") == own_catalog()["rtmdet-tiny"]
    assert [entry.title for entry in catalog].count("mine") == 1
    with pytest.raises(UserError, match="no model called 'rtmpse-s'; did you mean rtmpose-s"):
        catalog.find("rtmpse-s")
    assert {"rtmpose-s", "rtmpose-m"} <= {entry.name for entry in Catalog().search("RTMPose aic")}


def test_every_weight_of_the_installed_indexes_has_a_name():
    entries = {entry.name: entry for entry in Catalog()}
    index = {name: entry for name, entry in entries.items() if "index" in entry.catalog}
    assert len(index) > 900  # mmdet 3.3.0 and mmpose 1.3.2 have 945 with weights
    tiny = index["rtmdet_tiny_8xb32-300e_coco"]
    assert (tiny.framework, tiny.files[0].sha256, tiny.metrics["box AP"]) == ("mmdet", "78e30dcc", 40.9)
    assert len(index["strongsort_yolox_x_8xb4-80e_crowdhuman-mot17halftrain_test-mot17halfval"].files) == 3
    # Two models of one name; a name that is not its config's; an address behind a parenthesis.
    assert "e6192cac" in index["rtmpose-m_8xb64-210e_crowdpose-256x192"].files[0].path
    assert Catalog().find("faster-rcnn_r50_fpn_carafe_1x_coco").name == "faster-rcnn_r50_fpn-carafe_1x_coco"
    source, = index["td-hm_vipnas-mbv3_8xb64-210e_coco-256x192"].files[0].sources
    assert source.address.startswith("https://")


def test_a_file_is_known_by_its_name():
    entry, file = Catalog().with_file("rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth")
    assert (entry.name, file.sha256[:8]) == ("rtmdet-tiny", "78e30dcc")
    assert Catalog().with_file("nothing.pth") is None

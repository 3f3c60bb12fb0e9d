"""docs/models.md, docs/offline.md and docs/downloads.md: what they show is what is there, in both languages."""
import dataclasses
import re
import sys

import pytest
from failure_bench import DATA, Bench
from page_world import ROOT, World
from test_pages import FENCE, LINK, OPTION, blocks, options_of, shown_as

from pose_tools.weights.catalog import Catalog, own_catalog, read_catalog
from pose_tools.weights.entries import Entry, ModelFile

sys.path.insert(0, str(ROOT / "docs"))
import make_models

PAGES = ("models", "offline", "downloads")
FOLDERS = {"en": ROOT / "docs", "zh-TW": ROOT / "docs/zh-TW"}


def text_of(language, page):
    return (FOLDERS[language] / f"{page}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same(page):
    english, chinese = text_of("en", page), text_of("zh-TW", page)
    assert blocks(english) == blocks(chinese)
    bare = [FENCE.sub("", text) for text in (english, chinese)]
    for pattern in (r"^#+ ", r"^\|", r"^- ", r"^\d\. "):
        counts = [len(re.findall(pattern, text, re.MULTILINE)) for text in bare]
        assert counts[0] == counts[1], f"{pattern}: {counts}"
    for pattern in (OPTION, re.compile(r"`[A-Z_]{4,}`")):
        assert sorted(pattern.findall(bare[0])) == sorted(pattern.findall(bare[1]))
    assert re.search(r"[\u4e00-\u9fff]", bare[1])


@pytest.mark.parametrize("language", FOLDERS)
@pytest.mark.parametrize("page", PAGES)
def test_links_and_options_are_there(page, language):
    text = text_of(language, page)
    for _, words, target in LINK.findall(FENCE.sub("", text)):
        assert words and (target.startswith("https://") or (FOLDERS[language] / target.partition("#")[0]).is_file())
    said = re.sub(r"^```text\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    scripts = ("tools/download_weights.py", "tools/train.py", "tools/publish_model.py", "pose_tools/predict.py")
    known = set().union(*map(options_of, scripts)) | {"--no-deps", "--no-index", "--find-links"}  # pip's
    assert set(OPTION.findall(said)) <= known


@pytest.mark.parametrize("language, page", enumerate(make_models.PAGES), ids=["en", "zh-TW"])
def test_the_tables_are_those_of_the_catalog(language, page):
    text = page.read_text(encoding="utf-8")
    assert make_models.page_of(text, language) == text, "python docs/make_models.py writes the tables"
    for name in own_catalog():
        assert f"| [`{name}`](" in text


@pytest.mark.parametrize("language", FOLDERS)
def test_models_that_the_text_names_are_known(language):
    text = FENCE.sub("", text_of(language, "models"))
    named = set(re.findall(r"`(?:python tools/download_weights\.py )?([a-z][a-z\d]*(?:[-_][a-z\d_]+)+)`", text))
    assert {"rtmdet-s", "rtmdet-m-person", "td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192"} <= named
    for name in named:
        assert Catalog().find(name).files


@pytest.mark.parametrize("language", FOLDERS)
def test_every_field_of_a_catalog_is_explained_and_shown(language, tmp_path):
    text = text_of(language, "models")
    told = {name for cell in re.findall(r"^\| (`\w+`(?:[,、] ?`\w+`)*) \|", text, re.MULTILINE)
            for name in re.findall(r"\w+", cell)}
    fields = {*(field.name for field in dataclasses.fields(Entry)), *(field.name for field in
              dataclasses.fields(ModelFile))} - {"name", "catalog"} | {"places"}
    assert told == fields
    example, = (contents for kind, contents in blocks(text) if kind == "yaml")
    for field in fields:
        assert re.search(rf"^[ -]*{field}:", example, re.MULTILINE), field
    (tmp_path / "team.yaml").write_text(example, encoding="utf-8")
    entry = read_catalog(tmp_path / "team.yaml")["valve-pose"]
    assert {source.kind for file in entry.files for source in file.sources} == {"url", "hf", "git", "archive", "file"}
    assert entry.metrics == {"AP": 0.83}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_block_does_what_the_page_shows(page, world):
    printed = ""
    for language, contents in blocks(text_of("en", page)):
        if language == "bash":
            printed = world.run_block(contents)
        elif language == "python":
            printed = world.run_python(contents)
        elif language == "yaml":
            world.write_file(contents)
        elif language == "text":
            assert shown_as(contents).search(printed), f"the page shows\n{contents}\nprinted was\n{printed}"


@pytest.mark.slow
def test_a_mirror_is_laid_out_as_the_page_says(world):
    """Also of models with a folder of their own, and of those that live in the home folder."""
    made = """# on the mirror
python tools/download_weights.py synthpose-vitpose-base
python tools/download_weights.py humanpose3d --dest checkpoint/humanpose3d
cp -r checkpoint /media/stick/whole
"""
    world.run_block(made)
    said = world.run_block("""# on the one without network
export POSE_TOOLS_OFFLINE=1
export POSE_TOOLS_MIRROR=/media/stick/whole
python tools/download_weights.py synthpose-vitpose-base humanpose3d
""")
    assert "checkpoint/synthpose-vitpose-base/model.safetensors\n" in said
    assert "~/.humanpose3d/models/checkpoints/best_depth_model.pth\n" in said


def test_a_read_only_folder_of_right_files_is_used_as_it_is():
    with Bench() as bench:
        bench.server.put(bench.path, DATA)
        first = bench.fetch()
        with bench.without_rights():
            again = bench.fetch()
        assert (again.said, again.code, again.left) == ((), 0, first.left)

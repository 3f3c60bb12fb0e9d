"""The rows of the shipped catalog against what the installed mmdet and mmpose say of the same files."""
import functools
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CATALOG = yaml.safe_load((ROOT / "pose_tools/weights/catalog.yaml").read_text(encoding="utf-8"))
FILES = [(name, file) for name, row in CATALOG.items() for file in row["files"]]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NAMED = re.compile(r"-([0-9a-f]{8})(?:_\d{8})?\.pth$")
OFFICIAL = "https://download.openmmlab.com/"

# Official addresses that stand in pages of mmdet and mmpose only, not in what the packages install.
ON_PAGES = {OFFICIAL + path for path in (
    "mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain/cspnext-x_8xb256-rsb-a1-600e_in1k-b3f78edd.pth",
    "mmpose/v1/projects/rtmpose/rtmdet_m_8xb32-100e_coco-obj365-person-235e8209.pth",
    "mmpose/v1/projects/rtmpose/rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.pth",
    "mmpose/v1/projects/rtmposev1/rtmpose-x_simcc-body7_pt-body7_700e-384x288-71d7b7e9_20230629.pth",
    "mmpose/v1/wholebody_3d_keypoint/rtmw3d/rtmw3d-l_8xb64_cocktail14-384x288-794dbc78_20240626.pth",
    "mmpose/v1/wholebody_3d_keypoint/rtmw3d/rtmw3d-x_8xb64_cocktail14-384x288-b0a0eab7_20240626.pth",
)}
# What is served under names whose digits were not renewed with the file.
NOT_AS_NAMED = {"63eb25f7": "5e55be2a"}

# The digits of the rows that are one file with a hash in its name.
DIGITS = {
    "rtmdet-tiny": "78e30dcc", "rtmdet-s": "387a891e", "rtmdet-m": "229f527c", "rtmdet-l": "5a0be7c4",
    "rtmdet-m-person": "235e8209", "rtmdet-nano-person": "05d8511e", "faster-rcnn-r50": "047c8118",
    "cascade-mask-rcnn-convnext-t": "8f07c40b", "cspnext-tiny": "3a2dd350", "cspnext-s": "ea671761",
    "cspnext-m": "ecb3bbd9", "cspnext-l": "6a760974", "cspnext-x": "b3f78edd", "rtmpose-s": "fcb2599b",
    "rtmpose-m": "63eb25f7", "rtmpose-l": "f016ffe0", "rtmpose-x": "71d7b7e9", "rtmpose-s-body8": "acd4a1ef",
    "rtmpose-m-body8": "e48f03d0", "rtmpose-l-body8": "4dba18fc", "rtmpose-m-body8-384": "65e718c4",
    "rtmpose-l-body8-384": "3f5a1437", "hrnet-w32": "81c58e40", "hrnet-w48-dark": "39c3c381",
}
BUNDLES = {
    "rtmw3d": {"rtmw3d-l_8xb64_cocktail14-384x288-794dbc78_20240626.pth",
               "rtmw3d-x_8xb64_cocktail14-384x288-b0a0eab7_20240626.pth",
               "rtmdet_m_8xb32-100e_coco-obj365-person-235e8209.pth"},
    "synthpose-vitpose-base": {"config.json", "preprocessor_config.json", "model.safetensors"},
    "synthpose-vitpose-huge": {"config.json", "preprocessor_config.json", "model.safetensors"},
    "humanpose3d": {"checkpoints/best_depth_model.pth", "checkpoints/best_joint_model.pth",
                    "checkpoints/best_main_refiner.pth", "pose_landmarker_heavy.task", "GRU.h5"},
}


def installed(package):
    return Path(find_spec(package).origin).parent


@functools.cache
def installed_text():
    """Configs, indexes and defaults, with strings that are broken over lines joined."""
    folders = [installed("mmdet") / ".mim", installed("mmpose") / ".mim", installed("mmpose") / "apis"]
    files = [file for folder in folders for ending in ("*.py", "*.yml") for file in sorted(folder.rglob(ending))]
    return re.sub(r"'\s*\n\s*'", "", "\n".join(file.read_text(encoding="utf-8") for file in files))


@functools.cache
def index():
    """Models by the names of their configs."""
    found = {}
    for package in ("mmdet", "mmpose"):
        folder = installed(package) / ".mim"
        for part in yaml.safe_load((folder / "model-index.yml").read_text(encoding="utf-8"))["Import"]:
            content = yaml.load((folder / part).read_text(encoding="utf-8"), LOADER)
            for model in content["Models"] if isinstance(content, dict) else content:
                found.setdefault(Path(str(model.get("Config") or model["Name"])).stem, model)
    return found


def addresses(file):
    return [text for text in file.get("sources", []) if text.startswith("http")]


def test_every_row_that_was_asked_for_is_there():
    assert {**DIGITS, **BUNDLES}.keys() <= CATALOG.keys()
    for name, digits in DIGITS.items():
        file, = CATALOG[name]["files"]
        assert f"-{digits}" in file["path"]
    for name, paths in BUNDLES.items():
        assert {file["path"] for file in CATALOG[name]["files"]} == paths


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_a_row_says_what_it_is_whose_and_under_which_licence(name):
    row = CATALOG[name]
    for key in ("title", "task", "framework", "licence", "origin"):
        assert isinstance(row[key], str) and row[key].strip(), key
    assert row["origin"].startswith("https://")
    assert row["task"] not in ("pose", "pose-3d") or row["markers"].strip()
    assert row["task"] not in ("detection", "instance-segmentation") or row["classes"].strip()
    assert name not in index(), "the index would be hidden"


@pytest.mark.parametrize("name, file", FILES, ids=lambda value: value if isinstance(value, str) else value["path"])
def test_a_file_is_plain_and_encrypted_on_its_way(name, file):
    parts = file["path"].split("/")
    assert not {"", ".", ".."} & set(parts) and re.fullmatch(r"[\w./+-]+", file["path"])
    assert file.get("sources") or CATALOG[name].get("places")
    for text in [*file.get("sources", []), *CATALOG[name].get("places", [])]:
        assert text.startswith(("https://", "hf:", "git+https://")) and not urlsplit(text).query
    for text in file.get("sources", []):
        assert text.endswith(parts[-1]), "what is fetched has the name it gets"
    assert isinstance(file.get("size", 1), int)


@pytest.mark.parametrize("name, file", [pair for pair in FILES if NAMED.search(pair[1]["path"])],
                         ids=lambda value: value if isinstance(value, str) else value["path"])
def test_a_hash_continues_the_digits_of_the_name(name, file):
    digits = NAMED.search(file["path"])[1]
    if "sha256" in file:
        assert re.fullmatch(r"[0-9a-f]{64}", file["sha256"])
        assert file["sha256"].startswith(NOT_AS_NAMED.get(digits, digits))


def test_one_file_is_the_same_in_every_row():
    by_path = {}
    for name, file in FILES:
        if CATALOG[name].get("folder", ".") == ".":
            facts = {key: file.get(key) for key in ("size", "sha256", "sources")}
            assert by_path.setdefault(file["path"], facts) == facts, file["path"]


@pytest.mark.parametrize("address", sorted({text for _, file in FILES for text in addresses(file)
                                            if text.startswith(OFFICIAL)} - ON_PAGES),
                         ids=lambda address: address.rsplit("/", 1)[-1])
def test_official_addresses_are_spelled_as_the_packages_spell_them(address):
    assert re.search(re.escape(address) + r"['\"\s)]", installed_text())


def test_pages_are_asked_only_where_the_packages_say_nothing():
    used = {text for _, file in FILES for text in addresses(file)}
    assert used >= ON_PAGES
    assert not [address for address in ON_PAGES if address in installed_text()]


@pytest.mark.parametrize("name", [name for name, row in CATALOG.items() if "config" in row])
def test_config_weights_and_scores_are_those_of_the_index(name):
    row = CATALOG[name]
    if row["config"] not in index():  # of mmpose's demos: a file that is installed, without an entry
        assert list((installed("mmpose") / ".mim").rglob(f"{row['config']}.py"))
        return
    model = index()[row["config"]]
    assert model["Weights"] == row["files"][0]["sources"][0]
    scores = {key: value for result in model["Results"] for key, value in result["Metrics"].items()}
    names = {"COCO box AP": "box AP", "COCO mask AP": "mask AP", "COCO AP": "AP", "COCO AR": "AR",
             "Body8 PCK@0.1": "Mean@0.1"}
    assert row["metrics"]
    for key, value in row["metrics"].items():
        published = scores[names[key]]
        assert value == pytest.approx(published / 100 if published > 1 else published), key


@pytest.mark.parametrize("name", ["rtmdet-tiny", "rtmdet-s", "rtmdet-m", "rtmdet-l",
                                  "rtmpose-s", "rtmpose-m", "rtmpose-l", "rtmpose-x"])
def test_our_configs_start_from_them(name):
    from mmengine import Config

    model = Config.fromfile(str(ROOT / "configs" / f"{name}-carpose.py"), import_custom_modules=False).model
    assert model.init_cfg.checkpoint == CATALOG[name]["files"][0]["sources"][0]

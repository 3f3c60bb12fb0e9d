"""Every config loads, is what its name says, and builds the official model."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmengine import Config  # noqa: E402
from mmengine.registry import MODELS, init_default_scope  # noqa: E402

import pose_tools.openmmlab  # noqa: E402, F401  (before anything of mm*)
from pose_tools.formats.schema import read_meta  # noqa: E402
from pose_tools.openmmlab.config import keypoint_set_of, kind_of, load_config  # noqa: E402
from pose_tools.openmmlab.input_size import set_input_size  # noqa: E402
from pose_tools.weights.catalog import own_catalog  # noqa: E402

LEAVES = sorted(ROOT.glob("configs/*-carpose.py"))
DETECTOR_SIZES, POSE_SIZES = ("tiny", "s", "m", "l"), ("s", "m", "l", "x")


def build_shapes(cfg):
    """Names and shapes of a model's state_dict, without loading any weights."""
    init_default_scope(cfg.default_scope)
    model = cfg.model.copy()
    model.pop("init_cfg", None)
    model.backbone.pop("init_cfg", None)
    return {name: tuple(value.shape) for name, value in MODELS.build(model).state_dict().items()}


def upstream(package, pattern):
    """A config inside an installed package."""
    found = list((Path(__import__(package).__file__).parent / ".mim" / "configs").rglob(pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return Config.fromfile(str(found[0]))


def test_there_are_eight():
    names = {f"rtmdet-{s}-carpose" for s in DETECTOR_SIZES} | {f"rtmpose-{s}-carpose" for s in POSE_SIZES}
    assert {leaf.stem for leaf in LEAVES} == names


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.stem)
def test_a_leaf_is_two_statements_and_survives_a_dump(leaf, tmp_path):
    lines = leaf.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    cfg = load_config(leaf)
    assert kind_of(cfg) == ("detector" if leaf.stem.startswith("rtmdet") else "pose")
    dumped = tmp_path / leaf.name
    cfg.dump(str(dumped))
    assert load_config(dumped)._cfg_dict == cfg._cfg_dict


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.stem)
def test_a_leaf_carries_the_facts_and_an_official_address(leaf):
    cfg = load_config(leaf)
    assert keypoint_set_of(cfg) == read_meta(ROOT / "configs/_base_/carpose/meta.py")
    file, = own_catalog()[leaf.stem[:-len("-carpose")]].files
    assert cfg.model.init_cfg.checkpoint == file.sources[0].address, "the catalog knows hash and other sources"


def test_the_flip_swaps_left_and_right():
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    cfg = load_config(ROOT / "configs/rtmpose-s-carpose.py")
    parsed = parse_pose_metainfo(cfg.dataset_info)
    assert parsed["flip_indices"] == [4, 5, 6, 7, 0, 1, 2, 3]
    assert parsed["skeleton_links"] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert keypoint_set_of(cfg).flip_indices == (4, 5, 6, 7, 0, 1, 2, 3)


@pytest.mark.parametrize("size", DETECTOR_SIZES)
def test_a_detector_is_the_official_one_but_for_the_classes(size):
    ours = build_shapes(load_config(ROOT / f"configs/rtmdet-{size}-carpose.py"))
    official = build_shapes(upstream("mmdet", f"rtmdet_{size}_8xb32-300e_coco.py"))
    assert ours.keys() == official.keys()
    differing = {name for name in ours if ours[name] != official[name]}
    assert differing == {f"bbox_head.rtm_cls.{i}.{part}" for i in range(3) for part in ("weight", "bias")}


@pytest.mark.parametrize("size", POSE_SIZES)
def test_a_keypoint_model_is_the_official_one_but_for_the_keypoints(size):
    cfg = load_config(ROOT / f"configs/rtmpose-{size}-carpose.py")
    if size == "x":
        official = upstream("mmpose", "rtmpose-x_8xb256-700e_body8-halpe26-384x288.py")
        set_input_size(cfg, (288, 384))
    else:
        official = upstream("mmpose", f"rtmpose-{size}_8xb256-420e_aic-coco-256x192.py")
        set_input_size(cfg, (192, 256))
    ours, theirs = build_shapes(cfg), build_shapes(official)
    assert ours.keys() == theirs.keys()
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing == {"head.final_layer.weight", "head.final_layer.bias"}


def test_a_copied_set_needs_only_its_facts_edited(tmp_path):
    """The README's promise: copy _base_/carpose, edit meta.py, nothing else."""
    import shutil

    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    valve = tmp_path / "configs/_base_/valve"
    shutil.copytree(tmp_path / "configs/_base_/carpose", valve)
    meta = (valve / "meta.py").read_text(encoding="utf-8")
    derived = meta[meta.index("# ---- derived"):]
    (valve / "meta.py").write_text(
        "dataset_name = 'valve'\nclasses = ('valve', 'tap')\nkeypoints = ('stem', 'left-lug', 'right-lug')\n"
        "swaps = (('left-lug', 'right-lug'), )\nlinks = (('stem', 'left-lug'), )\nsigmas = (0.02, 0.05, 0.05)\n"
        "data_root = 'data/valve/'\ntrain_ann_file = 'a.json'\nval_ann_file = 'b.json'\nimage_dir = 'images/'\n"
        + derived,
        encoding="utf-8")
    for size in ("rtmdet-tiny", "rtmpose-s"):
        leaf = (tmp_path / f"configs/{size}-carpose.py").read_text(encoding="utf-8").replace("carpose", "valve")
        (tmp_path / f"configs/{size}-valve.py").write_text(leaf, encoding="utf-8")
    detector = load_config(tmp_path / "configs/rtmdet-tiny-valve.py")
    assert detector.model.bbox_head.num_classes == 2
    pose = load_config(tmp_path / "configs/rtmpose-s-valve.py")
    assert pose.model.head.out_channels == 3
    assert pose.val_evaluator.ann_file == "data/valve/b.json"
    assert keypoint_set_of(pose).flip_indices == (0, 2, 1)

import pytest

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.config import load_config
from pose_tools.openmmlab.input_size import set_input_size


def named(cfg, kind):
    """All dicts of a type, anywhere in the config."""
    found, todo = [], [cfg._cfg_dict]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if str(node.get("type", "")).split(".")[-1] == kind:
                found.append(node)
            todo += list(node.values())
        elif isinstance(node, (list, tuple)):
            todo += list(node)
    return found


def test_pose_moves_codec_head_decoder_and_every_pipeline(root):
    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    set_input_size(cfg, (192, 320))
    assert cfg.input_size == (192, 320)
    head = cfg.model.head
    assert (head.input_size, head.in_featuremap_size) == ((192, 320), (6, 10))
    assert head.decoder.input_size == (192, 320)
    assert {tuple(t["input_size"]) for t in named(cfg, "TopdownAffine")} == {(192, 320)}
    assert {tuple(t["input_size"]) for t in named(cfg, "SimCCLabel")} == {(192, 320)}
    assert len(named(cfg, "TopdownAffine")) >= 6  # recipe, loaders and the late switch
    # 12 at 256: sqrt(192 / 256) * 12 = 10.392 and sqrt(320 / 256) * 12 = 13.416
    assert head.decoder.sigma == (10.392, 13.416)


def test_detector_moves_every_pipeline(root):
    cfg = load_config(root / "configs/rtmdet-tiny-carpose.py")
    set_input_size(cfg, (320, 192))
    for kind, key in (("CachedMosaic", "img_scale"), ("CachedMixUp", "img_scale"), ("RandomCrop", "crop_size"),
                      ("Pad", "size"), ("Resize", "scale")):
        assert {tuple(t[key]) for t in named(cfg, kind)} == {(320, 192)}, kind
    # Twice the input with mosaic, the input itself in the late epochs.
    assert {tuple(t["scale"]) for t in named(cfg, "RandomResize")} == {(640, 384), (320, 192)}
    late = [hook for hook in cfg.custom_hooks if hook.type == "PipelineSwitchHook"][0].switch_pipeline
    assert [tuple(t["scale"]) for t in late if t["type"] == "RandomResize"] == [(320, 192)]


def test_a_list_from_the_command_line_is_as_good_as_a_tuple(root):
    cfg = load_config(root / "configs/rtmdet-tiny-carpose.py")
    set_input_size(cfg, [320, 192])
    assert all(type(t["img_scale"]) is tuple for t in named(cfg, "CachedMosaic"))
    assert type(cfg.input_size) is tuple


def test_there_and_back_changes_nothing(root):
    cfg, same = (load_config(root / "configs/rtmdet-s-carpose.py") for _ in range(2))
    set_input_size(cfg, (320, 416))
    set_input_size(cfg, (640, 640))
    assert cfg._cfg_dict == same._cfg_dict


@pytest.mark.parametrize("size", [(250, 256), (0, 64), (-32, 32)])
def test_a_side_not_divisible_by_32_is_refused_with_the_nearest(root, size):
    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    with pytest.raises(UserError, match="multiples of 32; the nearest is"):
        set_input_size(cfg, size)

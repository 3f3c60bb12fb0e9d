"""A checkpoint's config is data: parsed, never run, and builds nothing but parts of models."""
from pathlib import Path

import pytest

from pose_tools.console import UserError
from pose_tools.weights.embedded import check_model_types, parse_config_text, replace_in_config_text

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_plain_values():
    text = ("a = 1\nb = dict(x=-1.5, y=[None, True], z=(1, ), w={'k': 'v'})\n"
            "c = dict({0: dict(n='x')}, d=1e-3)\nd = {1, 2}\ne = set()\nf = ()\n")
    assert parse_config_text(text, "f") == {
        "a": 1, "b": {"x": -1.5, "y": [None, True], "z": (1, ), "w": {"k": "v"}},
        "c": {0: {"n": "x"}, "d": 0.001}, "d": {1, 2}, "e": set(), "f": ()}


@pytest.mark.parametrize("text", [
    "import os", "a = __import__('os').system('touch x')", "a = open('x', 'w')", "a = dict(**b)", "a = b",
    "a: int = 1", "a = b = 1", "a[0] = 1", "exec('1')", "a = [x for x in ()]", "a = lambda: 1", "a = f'{1}'",
    "a = (", "a = 1\0", "def f():\n    pass", "a = dict([(1, 2)])", "a = {**{}}", "_base_.x = 1",
    "a = {[]: 1}", "a = " + "(" * 300 + ")" * 300,
])
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(UserError, match="^f.pth: ") as caught:
        parse_config_text(text, "f.pth")
    assert "\n" not in str(caught.value)


def test_replacing_values_leaves_the_rest():
    text = "a = '\u2028\x0c'\nwork_dir = '/home/me'\nload_from = dict(\n    x=1)\nb = 'work_dir = 1'\n"
    got = replace_in_config_text(text, {"work_dir": "w", "load_from": None, "absent": 1}, "f")
    assert got == "a = '\u2028\x0c'\nwork_dir = 'w'\nload_from = None\nb = 'work_dir = 1'\n"


@pytest.mark.slow  # mmengine takes its time to lay out a config
@pytest.mark.parametrize("name", ["rtmdet-tiny-carpose", "rtmpose-s-carpose"])
def test_what_mmengine_writes_is_what_is_read(name):
    from mmengine import Config

    path = CONFIGS / f"{name}.py"
    cfg = Config.fromfile(str(path), import_custom_modules=False)
    values = parse_config_text(cfg.pretty_text, path)
    assert values == cfg.to_dict()
    check_model_types(values["model"], path)


@pytest.mark.parametrize("model", [
    {"type": "subprocess.Popen", "args": "x"},
    {"type": "RTMDet", "backbone": {"type": "os.system"}},
    {"type": "RTMDet", "neck": [({"type": "builtins.exec"}, )]},
    {"type": "mmengine.load", "file": "https://192.0.2.1/x.pkl"},
    {"type": "mmdet.apis.init_detector"},
    {"type": "RTMDet", "_scope_": "subprocess"},
    {"type": 3},
])
def test_models_are_built_of_parts_of_models_only(model):
    with pytest.raises(UserError, match="refused"):
        check_model_types(model, "f.pth")


def test_a_dotted_name_would_be_called_by_the_registry(tmp_path):
    """Why check_model_types is there; when this fails, mmengine has become safe."""
    from mmengine.registry import MODELS

    touched = tmp_path / "touched"
    MODELS.build({"type": "subprocess.Popen", "args": ["touch", str(touched)]}).wait()
    assert touched.exists()

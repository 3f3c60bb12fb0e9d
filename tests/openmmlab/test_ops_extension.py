import copy
import importlib.util
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pose_tools.console import UserError
from pose_tools.openmmlab.ops import MissingOperatorError, extension, install, operator_backend

install()
import mmcv.ops  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
standing_in = pytest.mark.skipif(
    not isinstance(sys.modules["mmcv._ext"], extension.StandIn), reason="mmcv is compiled here"
)


def python(code, *path):
    lines = "import sys\n" + "".join(f"sys.path.insert(0, {str(p)!r})\n" for p in (ROOT, *path)) + code
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)


def test_what_the_supported_models_import():
    import mmdet.models
    from mmcv.ops import RoIAlign, batched_nms, nms, nms_match, roi_align, soft_nms

    assert mmdet.models.RTMDetHead
    assert all(map(callable, (nms, batched_nms, soft_nms, nms_match, RoIAlign, roi_align)))


def test_install_twice_adds_one_finder():
    before = list(sys.meta_path)
    install()
    assert sys.meta_path == before
    assert sum(isinstance(finder, extension._Finder) for finder in sys.meta_path) == 1


@standing_in
def test_backends():
    vision = "torchvision" if extension.torchvision_works() else "torch"
    assert operator_backend() == {
        "nms": vision, "nms_match": "torch", "soft_nms": "torch", "roi_align": vision
    }


def test_torchvision_is_named_where_it_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv._ext", extension.StandIn())
    monkeypatch.setattr(extension, "torchvision_works", lambda: True)
    found = operator_backend()
    assert (found["nms"], found["roi_align"], found["soft_nms"]) == ("torchvision", "torchvision", "torch")


def test_compiled_is_named_where_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv._ext", type(sys)("mmcv._ext"))
    assert set(operator_backend().values()) == {"compiled"}


@standing_in
def test_missing_operator_says_how_to_get_it():
    import torch

    with pytest.raises(MissingOperatorError) as caught:
        mmcv.ops.RoIPool(2)(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))
    assert isinstance(caught.value, UserError) and isinstance(caught.value, RuntimeError)
    text = str(caught.value)
    assert "'roi_pool_forward'" in text and "pip install mmcv==2.1.0" in text and "\n" not in text


def test_stand_in_survives_probing():
    module = extension.StandIn()
    assert not any(hasattr(module, name) for name in ("__wrapped__", "__file__", "_repr_html_", "__path__"))
    assert inspect.ismodule(module) and inspect.unwrap(module.ball_query_forward).__name__
    assert copy.copy(module.carafe_forward).__name__ == "carafe_forward"
    assert pickle.loads(pickle.dumps(module.nms)) is module.nms
    assert module.carafe_forward is module.carafe_forward
    assert importlib.util.find_spec("mmcv._ext") is not None


@standing_in
def test_versions_reported_by_mmcv():
    assert mmcv.ops.get_compiler_version().startswith("not compiled")
    assert mmcv.ops.get_compiling_cuda_version() == "not available"
    from mmengine.utils.dl_utils import mmcv_full_available

    assert mmcv_full_available()


def mmcv_with(folder, content):
    (folder / "mmcv").mkdir()
    (folder / "mmcv" / "__init__.py").write_text("")
    for name, text in content.items():
        (folder / "mmcv" / name).write_text(text)


LOAD = ("from pose_tools.openmmlab.ops import extension\nextension.install()\nimport mmcv._ext as e\n"
        "print(type(e).__name__, extension.operator_backend()['nms'])")


def test_compiled_module_goes_first(tmp_path):
    mmcv_with(tmp_path, {"_ext.py": "def nms(): pass\n"})
    assert python(extension_only() + LOAD, tmp_path).stdout.split() == ["module", "compiled"]


def test_compiled_module_that_does_not_load_is_replaced_with_a_warning(tmp_path):
    suffix = next(s for s in importlib.machinery.EXTENSION_SUFFIXES)
    mmcv_with(tmp_path, {f"_ext{suffix}": "not a library"})
    result = python(extension_only() + LOAD, tmp_path)
    assert result.stdout.split() == ["StandIn", "torch"]
    assert "does not load" in result.stderr and "Traceback" not in result.stderr


def test_no_mmcv_at_all():
    code = extension_only() + (
        "import importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'mmcv': raise ModuleNotFoundError(\"No module named 'mmcv'\", name='mmcv')\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from pose_tools.openmmlab.ops import operator_backend\n"
        "from pose_tools.console import UserError\n"
        "try: operator_backend()\n"
        "except UserError as error: print(error)"
    )
    assert python(code).stdout.strip() == "mmcv is not installed: pip install mmcv-lite==2.1.0"


def extension_only():
    """Code that keeps the rest of the compatibility layer, which needs the real mmcv, out."""
    return (
        "import types\n"
        "room = types.ModuleType('pose_tools.openmmlab')\n"
        f"room.__path__ = [{str(ROOT / 'pose_tools' / 'openmmlab')!r}]\n"
        "import pose_tools\n"
        "sys.modules['pose_tools.openmmlab'] = room\n"
    )

"""What a start does not need is imported when it is used, and is then what it would have been."""
import ast
import gc
import keyword
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.compat import late_classes, late_compiler, late_names
from pose_tools.openmmlab.compat.collection import collection_paused
from pose_tools.openmmlab.compat.config_text import WIDTH, lay_out

ROOT = Path(__file__).resolve().parents[2]


def in_a_new_process(code):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()


@pytest.mark.slow
def test_what_trains_imports_nothing_it_does_not_need():
    said = in_a_new_process("""
        import sys
        from pose_tools.openmmlab import training, plugins
        import mmdet.models, mmpose.models, mmpose.visualization, torch
        layer = torch.nn.Linear(2, 1)
        optimizer = torch.optim.AdamW(layer.parameters())
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        heavy = ("sympy", "matplotlib.pyplot", "scipy.stats", "scipy.io", "tifffile", "yapf", "pkg_resources",
                 "torch._dynamo", "torch.distributed.fsdp", "torch.distributed.optim", "mmpose.apis")
        print([name for name in sys.modules if name in heavy or name.split(".")[0] == "mmpretrain"])
        """)
    assert said[-1] == "[]"


@pytest.mark.slow
def test_late_names_are_the_real_ones_when_used():
    said = in_a_new_process("""
        import pose_tools.openmmlab, sys
        import numpy as np
        import mmpose.datasets.transforms.bottomup_transforms as upstream
        assert "scipy.stats" not in sys.modules
        np.random.seed(0)
        ours = upstream.truncnorm.rvs(-1, 1, size=5)
        from scipy.stats import truncnorm
        import scipy.stats
        np.random.seed(0)
        print(type(scipy.stats).__name__, np.array_equal(ours, truncnorm.rvs(-1, 1, size=5)))
        import matplotlib.pyplot, xtcocotools.coco as coco
        print(coco.plt.figure is matplotlib.pyplot.figure, coco.Polygon([[0, 0], [1, 0], [1, 1]]).get_xy().shape)
        import mmcv.image.io as io, tifffile, importlib.metadata
        print(io.tifffile.imread is tifffile.imread, io.tifffile.__version__ == importlib.metadata.version("tifffile"))
        from mmpose.visualization import local_visualizer_3d as drawing
        points = np.zeros((1, 17, 3))
        found = drawing.convert_keypoint_definition(points, "coco", "h36m")
        print(found.shape, type(sys.modules["mmpose.apis"]).__name__)
        """)
    assert said == ["module True", "True (4, 2)", "True True", "(1, 17, 3) module"]


def test_a_stand_in_yields_to_the_real_module_while_it_stands(tmp_path, monkeypatch):
    """A module that is being executed may import others that want more of what is late."""
    package = tmp_path / "late_package"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "part.py").write_text("def twice(x):\n    return 2 * x\n\n\ndef thrice(x):\n    return 3 * x\n",
                                     encoding="utf-8")
    (package / "other.py").write_text("TWO = 2\n", encoding="utf-8")
    (tmp_path / "late_user.py").write_text(
        "from late_package.part import twice\nimport late_package.other\nimport late_package.part as whole\n"
        "now = whole.thrice(late_package.other.TWO)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(late_names, "LATE", {"late_user": {"late_package": (), "late_package.part": ("twice", )}})
    before = list(sys.meta_path)
    try:
        late_names.install()
        import late_user

        assert late_user.now == 6
        assert isinstance(late_user.twice, late_names.LateName)
        assert late_user.twice(4) == 8
        assert not isinstance(sys.modules["late_package.part"], late_names.LateModule)
    finally:
        sys.meta_path[:] = before
        for name in ("late_user", "late_package", "late_package.part", "late_package.other"):
            sys.modules.pop(name, None)


@pytest.mark.slow
def test_classes_for_sharded_training_are_there_when_asked_for():
    said = in_a_new_process("""
        import pose_tools.openmmlab, sys, torch
        from mmengine.model import MMFullyShardedDataParallel as Wrapper, is_model_wrapper
        from mmengine._strategy import FSDPStrategy
        from mmengine.registry import MODEL_WRAPPERS, OPTIMIZERS, STRATEGIES
        late = "torch.distributed.fsdp" not in sys.modules
        print(late, is_model_wrapper(torch.nn.Linear(1, 1)), isinstance(3, Wrapper), issubclass(int, Wrapper))
        class Mine(Wrapper):
            pass
        from torch.distributed.fsdp import FullyShardedDataParallel
        import torch.distributed.optim as distributed
        print(issubclass(Mine, FullyShardedDataParallel), issubclass(Mine, Wrapper), "forward" in dir(Mine),
              Wrapper.train_step.__name__, FSDPStrategy.real().__mro__[1].__name__)
        import mmengine._strategy.fsdp as module
        print(module.FSDP is FullyShardedDataParallel, STRATEGIES.get("FSDPStrategy") is FSDPStrategy.real(),
              MODEL_WRAPPERS.get("MMFullyShardedDataParallel") is Wrapper.real())
        try:
            OPTIMIZERS.build(dict(type="ZeroRedundancyOptimizer", optimizer_type="SGD", lr=0.1,
                                  params=[torch.nn.Parameter(torch.ones(1))]))
        except (ValueError, RuntimeError) as error:  # torch's own: there is no group of processes
            print("process group" in str(error))
        print(issubclass(OPTIMIZERS.get("ZeroRedundancyOptimizer"), distributed.ZeroRedundancyOptimizer))
        """)
    assert said[0] == "True False False False"
    assert said[1] == "True True True train_step DDPStrategy"
    assert said[2:] == ["True True True", "True", "True"]


def test_late_classes_are_those_upstream_has():
    import importlib
    import importlib.util

    for name, (kind, registry) in late_classes.LATE.items():
        spec = importlib.util.find_spec(name)
        source = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        made = [node.name for node in source.body if isinstance(node, ast.ClassDef)]
        assert made == [kind], "a second public class would not be found by who imports it"
        assert hasattr(importlib.import_module("mmengine.registry"), registry)


@pytest.mark.slow
def test_an_optimizer_steps_alike_before_and_after_the_compiler_has_come():
    said = in_a_new_process("""
        import pose_tools.openmmlab, sys, torch
        def trained(kind, **more):
            torch.manual_seed(0)
            layer = torch.nn.Linear(3, 2)
            optimizer = getattr(torch.optim, kind)(layer.parameters(), lr=0.1, **more)
            for _ in range(3):
                optimizer.zero_grad()
                layer(torch.randn(4, 3)).square().sum().backward()
                optimizer.step()
                assert torch.is_grad_enabled()
            state = optimizer.state_dict()
            optimizer.load_state_dict(state)
            return layer.weight.detach().clone()
        kinds = [("AdamW", {}), ("AdamW", {"fused": True}), ("SGD", {"momentum": 0.9}), ("Adam", {})]
        before = [trained(kind, **more) for kind, more in kinds]
        print("torch._dynamo" in sys.modules)
        import torch._dynamo
        after = [trained(kind, **more) for kind, more in kinds]
        function = torch.optim.Optimizer.zero_grad.__wrapped__
        print(all(map(torch.equal, before, after)), hasattr(getattr(function, "__dynamo_disable"), "late_compiler"))
        """)
    assert said == ["False", "True False"]


def test_the_compiler_changes_nothing_where_it_is_there_already():
    step = torch.optim.AdamW.step
    late_compiler.install()
    assert torch.optim.AdamW.step is step


def test_the_collector_is_back_after_an_error():
    assert gc.isenabled()
    with pytest.raises(KeyError), collection_paused():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled(), "who had it off has it off"
    finally:
        gc.enable()


KEYS = st.from_regex(r"[a-z]{1,12}", fullmatch=True)
PLAIN = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
                  st.text(max_size=40))
VALUES = st.recursive(PLAIN, lambda inner: st.one_of(
    st.lists(inner, max_size=6), st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=5),
    st.dictionaries(st.integers(0, 12), inner, max_size=3)), max_leaves=40)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
def test_a_configs_layout_keeps_its_values(values):
    from pose_tools.weights.embedded import parse_config_text

    text = "".join(f"{key} = {value!r}\n" for key, value in values.items() if not keyword.iskeyword(key))
    new = lay_out(text)
    assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(text))
    assert lay_out(new) == new
    assert parse_config_text(new, "x") == {key: values[key] for key in parse_config_text(text, "x")}


def test_a_configs_layout_by_hand():
    assert lay_out("a=1\nb=dict(\n    c=[1,\n 2], d=(3,))") == "a = 1\nb = dict(c=[1, 2], d=(3,))\n"
    long = ", ".join(f"'{'x' * 20}{n}'" for n in range(5))
    assert lay_out(f"m = dict(type='A', names=[{long}], size=(1, ))").splitlines() == [
        "m = dict(", "    type='A',", "    names=[", *(f"        '{'x' * 20}{n}'," for n in range(4)),
        f"        '{'x' * 20}4'],", "    size=(1,))"]


def test_the_layout_of_a_real_config_is_upstreams_but_for_line_breaks():
    from mmengine import Config
    from yapf.yapflib.yapf_api import FormatCode

    cfg = Config.fromfile(ROOT / "configs/rtmdet-tiny-carpose.py")
    ours = cfg.pretty_text
    assert max(map(len, ours.splitlines())) <= max(WIDTH, *(len(line) for line in ours.splitlines() if "http" in line))
    assert ast.dump(ast.parse(FormatCode(ours, style_config="pep8")[0])) == ast.dump(ast.parse(ours))
    assert Config.fromstring(ours, ".py")._cfg_dict.to_dict() == cfg._cfg_dict.to_dict()

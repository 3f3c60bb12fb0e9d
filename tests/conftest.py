"""Shared by all tests: where things are, and one small rendered dataset."""
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# What is started in the background inherits that Ctrl-C is ignored, and the commands under test would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Photographs people took and annotated; not part of the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real datasets (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def cars(tmp_path_factory) -> Path:
    """Twelve rendered pictures as a COCO dataset: images/, train_coco.json (9), val_coco.json (3)."""
    from pose_tools import labelme2coco, make_demo

    folder = tmp_path_factory.mktemp("cars")
    meta = str(ROOT / "configs/_base_/carpose/meta.py")
    assert make_demo.main([str(folder / "labelme"), "--images", "12", "--size", "256", "192", "--seed", "3"]) == 0
    assert labelme2coco.main([str(folder / "labelme"), str(folder / "coco"), "--meta", meta, "--split", "0.75"]) == 0
    return folder / "coco"

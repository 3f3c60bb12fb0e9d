"""Predicts with upstream's own demo/topdown_demo_with_mmdet.py, as the installed mmpose has it; takes its command line.

    python benchmarks/plain_compat.py benchmarks/upstream_predict.py DET.py DET.pth POSE.py POSE.pth \\
        --input street.mp4 --output-root OUT --device cpu --draw-bbox --save-predictions

From us is the compatibility layer alone, without which upstream does not run on a current PyTorch.
"""
from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Runs the demo with the words of this command line."""
    import pose_tools.openmmlab  # noqa: F401

    installed = Path(find_spec("mmpose").origin).parent  # type: ignore[union-attr, arg-type]
    runpy.run_path(str(installed / ".mim/demo/topdown_demo_with_mmdet.py"), run_name="__main__")


if __name__ == "__main__":
    main()

"""Runs a script with upstream as slow as it is: our compatibility layer without what only makes it faster.

    python benchmarks/plain_compat.py benchmarks/upstream_train.py configs/rtmpose-s-carpose.py --work-dir OUT

What upstream cannot run without stays in: the operators, loading of checkpoints, torchvision's absence. Left out are
late imports, the quick layout of configs, the pause of the collector, our COCO evaluation and our way of reading
annotations.
"""
from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
FASTER = ("late_names", "late_classes", "late_compiler", "config_text", "coco_evaluation", "annotation_loading")


def leave_out_what_is_faster() -> None:
    """Puts modules that do nothing in the place of ours. Before anything of pose_tools.openmmlab is imported."""
    room = "pose_tools.openmmlab"
    if room in sys.modules:
        raise RuntimeError(f"{room} has been imported already")
    for name in (*FASTER, "collection"):
        module = ModuleType(f"{room}.compat.{name}")
        module.install = lambda: None  # type: ignore[attr-defined]
        module.collection_paused = contextlib.nullcontext  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the script that is named first, with the words after it."""
    words = list(sys.argv[1:] if argv is None else argv)
    sys.path.insert(0, str(ROOT))
    leave_out_what_is_faster()
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).resolve().parent))
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()

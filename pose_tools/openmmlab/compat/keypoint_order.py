"""A dumped config must give the keypoints back in their order.

Stands in for ``mmengine/config/config.py:1452``: ``Config.pretty_text`` sorts the keys of a dict as strings
(0, 1, 10, 11, 2, ...), and ``mmpose/datasets/datasets/utils.py:124`` fills ``flip_indices`` in the order of
the dict. A set of eleven keypoints or more, read back from ``work_dirs/X/X.py``, would be flipped wrongly
without a word.
"""
from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pose_tools.openmmlab.compat.import_hook import on_import


def _in_order(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    ordered = dict(metainfo)
    for key in ("keypoint_info", "skeleton_info"):
        if isinstance(ordered.get(key), Mapping):
            ordered[key] = dict(sorted(ordered[key].items(), key=lambda item: int(item[0])))
    return ordered


def _patch(module: ModuleType) -> None:
    upstream = module.parse_pose_metainfo
    if hasattr(upstream, "__wrapped__"):
        return

    @functools.wraps(upstream)
    def parse_pose_metainfo(metainfo: Mapping[str, Any]) -> dict[str, Any]:
        return upstream(metainfo if "from_file" in metainfo else _in_order(metainfo))

    module.parse_pose_metainfo = parse_pose_metainfo  # type: ignore[attr-defined]


def install() -> None:
    """Sorts ``keypoint_info`` and ``skeleton_info`` by their ids before mmpose reads them."""
    on_import("mmpose.datasets.datasets.utils", after=_patch)

"""The configs that mmdet and mmpose install beside their code, by name."""
from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

# mmpose's demo folder has configs of detectors whose weights its pages name: persons, hands.
_FOLDERS = (("mmdet", "configs"), ("mmpose", "configs"), ("mmpose", "demo/mmdetection_cfg"))


@functools.cache
def installed_configs() -> dict[str, Path]:
    """Lists the configs of the installed packages by the name of the file, without the parts others start from.

    Returns:
        Paths by name; of files of one name the first, mmdet's before mmpose's copies. Empty without the packages.
    """
    found: dict[str, Path] = {}
    for package, part in _FOLDERS:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or () if spec else ()):
            for path in sorted((Path(place) / ".mim" / part).rglob("*.py")):
                if "_base_" not in path.parts:
                    found.setdefault(path.stem, path)
    return found


def installed_config(name: str) -> Optional[Path]:
    """Finds the config of a name, such as ``faster-rcnn_r50_fpn_1x_coco``; ``None`` where there is none."""
    return installed_configs().get(name.removesuffix(".py")) if name else None

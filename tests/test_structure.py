"""The house keeps its plan: import directions, sizes, names."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for folder in ("pose_tools", "tools") for path in ROOT.glob(f"{folder}/**/*.py"))
ROOMS = {path.parent.name for path in ROOT.glob("pose_tools/*/__init__.py")}
SCRIPTS = {path.stem for path in ROOT.glob("pose_tools/[!_]*.py")}
# Who may be imported, beside console and options, which everybody may use.
MAY_IMPORT = {
    "console": set(),
    "options": set(),
    "formats": set(),
    "dataset": {"formats"},
    "weights": {"formats", "openmmlab"},
    "report": {"formats", "dataset"},
    "inference": {"formats", "report", "weights", "openmmlab"},
    "openmmlab": {"formats", "dataset", "weights", "report"},
    "export": {"formats", "dataset", "weights", "report", "openmmlab", "inference"},
    "benchmarking": {"formats", "weights", "openmmlab", "inference", "report"},
}
TORCH = {"torch", "mmengine", "mmcv", "mmdet", "mmpose", "torchvision"}
HEAVY_FOR_SCRIPTS = TORCH | {"cv2", "scipy", "matplotlib"}


def ids(path):
    return str(path.relative_to(ROOT))


def imported(tree, whole):
    """Modules a file imports: everywhere (whole), or when it is imported itself."""
    skipped = set()
    for node in ast.walk(tree):
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if is_typing or (not whole and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))):
            skipped.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path):
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "pose_tools" and len(parts) > 2 else None


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_imports_go_one_way(path):
    room = room_of(path)
    for name in imported(parse(path), whole=True):
        parts = name.split(".")
        if parts[0] != "pose_tools" or len(parts) == 1:
            assert parts[0] not in ("tools", "configs", "tests"), f"{name} is no library"
            continue
        assert parts[1] in ROOMS, f"{name}: a script must not be imported"
        if room and parts[1] not in (room, "console", "options"):
            assert parts[1] in MAY_IMPORT[room], f"{room} must not import {parts[1]}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_torch_is_imported_at_module_level_in_its_room_only(path):
    if room_of(path) == "openmmlab":
        return
    forbidden = TORCH if room_of(path) else HEAVY_FOR_SCRIPTS
    assert not {name.split(".")[0] for name in imported(parse(path), whole=False)} & forbidden


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "formats"], ids=ids)
def test_formats_needs_little_more_than_numpy_and_the_standard_library(path):
    import sys

    allowed = set(sys.stdlib_module_names) | {"numpy", "pose_tools", "PIL", "yaml", "__future__"}
    assert {name.split(".")[0] for name in imported(parse(path), whole=True)} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_modules_are_short_and_not_called_utils(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert "util" not in path.stem


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/**/*.py")), ids=ids)
def test_configs_import_nothing(path):
    assert list(imported(parse(path), whole=True)) == []


FOLDERS_OF_DATASET = {path.parent.name for path in ROOT.glob("pose_tools/dataset/*/__init__.py")}


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "dataset"], ids=ids)
def test_the_folders_of_dataset_keep_to_themselves(path):
    """They use what lies beside them, and conversions the splits; nothing beside them uses one."""
    own = path.parent.name
    for name in imported(parse(path), whole=True):
        parts = name.split(".")
        if parts[:2] == ["pose_tools", "dataset"] and len(parts) > 2 and parts[2] in FOLDERS_OF_DATASET:
            assert parts[2] == own or (own, parts[2]) == ("convert", "splits")


# Beside what lies in them and console; a folder that is not named here may use all of the room.
FOLDERS_OF = {
    "openmmlab": {"image_cache": set(), "step": set(), "graphs": {"config"}},
    "inference": {"runtime": {"heatmaps"}, "media": set(), "tracking": set(), "vehicle_pose": set(),
                  "writers": {"media"}, "upstream": {"heatmaps", "runtime", "source"}},
}


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name in FOLDERS_OF.get(room_of(p), ())], ids=ids)
def test_the_folders_of_a_room_keep_to_themselves(path):
    room, own = room_of(path), path.parent.name
    for name in imported(parse(path), whole=True):
        parts = name.split(".")
        if parts[:2] == ["pose_tools", room] and len(parts) > 2:
            assert parts[2] == own or parts[2] in FOLDERS_OF[room][own], f"{own} must not use {parts[2]}"

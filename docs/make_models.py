"""Writes the tables of models into docs/models.md, in both languages, from the catalog.

Example:
    python docs/make_models.py

A test (tests/weights/test_model_pages.py) compares the pages with the catalog.
"""
from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from page_blocks import replace_block  # noqa: E402

from pose_tools.weights.catalog import own_catalog  # noqa: E402
from pose_tools.weights.entries import Entry  # noqa: E402
from pose_tools.weights.hashes import hash_in_name  # noqa: E402

PAGES = (ROOT / "docs/models.md", ROOT / "docs/zh-TW/models.md")
MARKS = ("<!-- made by docs/make_models.py -->\n", "<!-- end -->")
# In English and Traditional Chinese, as the pages are.
TASKS = {
    "detection": ("Detectors", "偵測器"), "instance-segmentation": ("Instance segmentation", "實例分割"),
    "pose": ("Poses", "姿態"), "pose-3d": ("Poses in 3D", "3D 姿態"), "backbone": ("Backbones", "骨幹網路"),
}
HEADS = ("| name | what it is | MB | files | digits | licence | markers or classes | published | from |",
         "| 名稱 | 內容 | MB | 檔案數 | 雜湊位數 | 授權 | 關鍵點組或類別 | 公佈的分數 | 來源 |")
KINDS = {"url": ("web", "網站"), "hf": ("hub", "hub"), "git": ("git", "git"), "archive": ("archive", "壓縮檔"),
         "file": ("file", "檔案")}
LICENCES = {"not stated": ("not stated", "未說明")}


def size_of(entry: Entry) -> str:
    """MB of all files; ``>`` before those of some, nothing where none is known."""
    known = [file.size for file in entry.files if file.size is not None]
    if not known:
        return ""
    return f"{'> ' if len(known) < len(entry.files) else ''}{sum(known) / 1e6:.1f}"


def digits_of(entry: Entry) -> str:
    """How many hex digits of the files' SHA-256 are known; where files differ, the fewest and the most."""
    counts = sorted({len(file.sha256 or hash_in_name(file.name) or "") for file in entry.files})
    return "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def row(entry: Entry, language: int) -> str:
    """One row of a table.

    Args:
        entry: Of the catalog.
        language: 0 for English, 1 for Traditional Chinese; names and titles are English in both.
    """
    kinds = dict.fromkeys(source.kind for file in entry.files for source in file.sources)
    cells = (f"[`{entry.name}`]({entry.origin})", entry.title, size_of(entry), str(len(entry.files)), digits_of(entry),
             LICENCES.get(entry.licence, (entry.licence,) * 2)[language],
             ", ".join(filter(None, (entry.markers, entry.classes))),
             "<br>".join(f"{name} {f'{value:.4f}'.removesuffix('0')}" for name, value in entry.metrics.items()),
             ", ".join(KINDS[kind][language] for kind in kinds))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def tables(entries: Iterable[Entry], language: int) -> Iterator[str]:
    """All lines, a table with a heading for each task."""
    groups: dict[str, list[Entry]] = {task: [] for task in TASKS}
    for entry in entries:
        groups.setdefault(entry.task, []).append(entry)
    for task, members in groups.items():
        if members:
            yield from ("", f"### {TASKS.get(task, (task, task))[language]}", "", HEADS[language],
                        "|---|---|--:|--:|--:|---|---|---|---|")
            yield from (row(entry, language) for entry in members)
    yield ""


def page_of(text: str, language: int) -> str:
    """A page with its tables made anew."""
    return replace_block(text, MARKS, "\n".join(tables(own_catalog().values(), language)))


def main() -> int:
    """Writes both pages."""
    for language, page in enumerate(PAGES):
        page.write_text(page_of(page.read_text(encoding="utf-8"), language), encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

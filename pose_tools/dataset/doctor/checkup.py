"""A whole visit to the doctor: examine, perhaps mend into new files, and say what was found."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.doctor.examine import Examination, examine
from pose_tools.dataset.doctor.repair import Change, repair
from pose_tools.dataset.doctor.rules import RULES
from pose_tools.dataset.findings import ERROR, WARNING, Finding
from pose_tools.formats.coco import encode_coco, load_coco, write_text
from pose_tools.formats.schema import KeypointSet


@dataclass
class Checkup:
    """What came out.

    Attributes:
        findings: What is wrong: after mending, where that was asked for.
        changes: What was mended, by the file it was mended in.
        written: The new files.
    """

    findings: list[Finding]
    changes: dict[Path, list[Change]] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)

    def count(self, level: str) -> int:
        """How many findings are of a level."""
        return sum(finding.level == level for finding in self.findings)


def mend(data_set: DataSet, meta: KeypointSet | None, how: Examination, folder: Path | None,
         overwrite: bool) -> Checkup:
    """Mends what has one right answer, into new files, and examines these.

    Args:
        data_set: What was examined.
        meta: As for :func:`pose_tools.dataset.doctor.examine.examine`.
        how: What to look at, afterwards.
        folder: Where to write ``X.fixed.json`` and ``X.fixed.log`` for each ``X.json`` that had something to mend;
            ``None`` for beside it.
        overwrite: Whether such files may be there already.

    Returns:
        What is left; the examined files are as they were.

    Raises:
        UserError: A file to write is there already, would be written twice, or cannot be written as JSON; nothing is
            written.
    """
    sides = {split: load_coco(path) for split, path in data_set.files.items()}
    changes = {split: repair(data, data_set.images[split] if how.images else None) for split, data in sides.items()}
    targets = {split: (folder or path.parent) / f"{path.stem}.fixed.json"
               for split, path in data_set.files.items() if changes[split]}
    logs = {split: path.with_suffix(".log") for split, path in targets.items()}
    _check_targets([*targets.values(), *logs.values()], overwrite)
    contents = {split: _encoded(sides[split], data_set.files[split]) for split in targets}
    for split, path in targets.items():
        write_whole(path, contents[split])
        write_text(logs[split], "".join(f"{change}\n" for change in changes[split]))
    mended = replace(data_set, sides=sides, files={**data_set.files, **targets})
    return Checkup(examine(mended, meta, how), {data_set.files[split]: changes[split] for split in targets},
                   [*targets.values(), *logs.values()])


def _check_targets(paths: Sequence[Path], overwrite: bool) -> None:
    for place, path in enumerate(paths):
        if path.exists() and not overwrite:
            raise UserError(f"{path}: exists; replace it with --overwrite")
        if path in paths[:place]:
            raise UserError(f"{path}: would be written for two files; mend them one by one, or without --fix-to")


def _encoded(data: dict[str, Any], path: Path) -> bytes:
    """A COCO file's bytes, made before anything is written: what was read need not be writable."""
    try:
        return encode_coco(data)
    except UnicodeEncodeError:
        raise UserError(f"{path}: holds half a character (a lone surrogate), which no file can hold") from None
    except ValueError:
        raise UserError(f"{path}: holds NaN or infinity where only you know the right value; without --fix it is said "
                        "where") from None


def _heading(rule: str, findings: Sequence[Finding]) -> str:
    title = RULES[rule].title
    mended = "; --fix mends what has one right answer" if RULES[rule].mended else ""
    return f"{rule}  {len(findings)} x  {title}\n    {RULES[rule].advice}{mended}"


def _line(finding: Finding) -> str:
    return f"    - {replace(finding, file=Path(finding.file).name)}"


def findings_text(findings: Sequence[Finding], limit: int) -> str:
    """Lays out findings by rule, errors first, the commonest rule last in neither part.

    Args:
        findings: In the order to show them.
        limit: How many of a rule to show; 0 for all.
    """
    blocks = []
    for level, title in ((ERROR, "ERRORS"), (WARNING, "WARNINGS")):
        rules = dict.fromkeys(finding.rule for finding in findings if finding.level == level)
        if rules:
            blocks.append(title)
        for rule in rules:
            own = [finding for finding in findings if finding.rule == rule]
            shown = own[:limit] if limit else own
            more = [f"    ... and {len(own) - len(shown)} more; see them all with --limit 0"] * (len(shown) < len(own))
            blocks.append("\n".join([_heading(rule, own), *map(_line, shown), *more]))
    return "\n\n".join(blocks)


def summary_text(result: Checkup, data_set: DataSet) -> str:
    """One or more closing lines: how much there was to see, and how it stands."""
    seen = ", ".join(f"{split} {len(data['images'])} images and {len(data['annotations'])} annotations"
                     for split, data in data_set.sides.items())
    errors, warnings = result.count(ERROR), result.count(WARNING)
    lines = [f"looked at {seen}"]
    for path, changes in result.changes.items():
        kinds = ", ".join(f"{rule} {count}" for rule, count in Counter(c.rule for c in changes).most_common())
        lines.append(f"mended {len(changes)} things of {path}: {kinds}")
    lines += [f"wrote {path}" for path in result.written]
    left = " left" if result.changes else ""
    lines.append(f"{errors} error{'s' * (errors != 1)}{left}, {warnings} warning{'s' * (warnings != 1)}"
                 + ("" if errors or warnings else ": sound"))
    return "\n".join(lines)


def checkup_json(result: Checkup, data_set: DataSet) -> dict[str, Any]:
    """The visit as plain values."""
    return {
        "files": {split: str(path) for split, path in data_set.files.items()},
        "images": {split: len(data["images"]) for split, data in data_set.sides.items()},
        "annotations": {split: len(data["annotations"]) for split, data in data_set.sides.items()},
        "errors": result.count(ERROR), "warnings": result.count(WARNING),
        "rules": dict(Counter(finding.rule for finding in result.findings)),
        "findings": [finding.as_json() for finding in result.findings],
        "changes": [{"file": str(path), "rule": c.rule, "where": c.where, "what": c.what}
                    for path, changes in result.changes.items() for c in changes],
        "written": [str(path) for path in result.written],
    }


def rules_text() -> str:
    """All rules with what they mean."""
    return "\n".join(f"{name:20}{rule.level:9}{rule.title}: {rule.advice}{' [--fix]' * rule.mended}"
                     for name, rule in RULES.items())

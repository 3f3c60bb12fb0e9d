"""The ``catalog.yaml`` of a release folder, by which ``tools/download_weights.py --catalog`` fetches it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pose_tools.weights.hashes import sha256_of
from pose_tools.weights.release.facts import FRAMEWORKS, POSE, Facts
from pose_tools.weights.release.markdown import one_line

MOST_CLASSES = 10


def catalog_text(name: str, title: str, facts: Facts, folder: Path, weights: Sequence[str], others: Sequence[str],
                 licence: str, scores: Mapping[str, float], repository: str) -> str:
    """Writes the catalog: an entry for each form of the weights, with the files that belong to it.

    Args:
        name: Of the model.
        title: One line.
        facts: Of the model.
        folder: Where the files are.
        weights: Names of files; the first is the model's, others are ``NAME-ENDING``.
        others: Names of the files that go with each.
        licence: As the user gave it, or empty.
        scores: Published scores by name.
        repository: ``hf:USER/REPO``, or empty.
    """
    files = {each: {"path": each, "size": (folder / each).stat().st_size, "sha256": sha256_of(folder / each)}
             for each in (*weights, *others)}
    about: dict[str, Any] = {
        "title": title, "task": facts.task, "framework": FRAMEWORKS[facts.task],
        "markers": _markers(facts), "classes": _classes(facts.classes), "licence": one_line(licence),
        "folder": name, "metrics": dict(scores), "places": [".", *([repository] if repository else [])]}
    about = {key: value for key, value in about.items() if value}
    entries = {}
    for each in weights:
        ending = "" if each == weights[0] else f"-{Path(each).suffix[1:]}"
        own = {**about, "title": f"{title}, as {Path(each).suffix}"} if ending else about
        entries[f"{name}{ending}"] = {**own, "files": [files[path] for path in (each, *others)]}
    return yaml.dump(entries, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


class _Dumper(yaml.SafeDumper):
    """YAML in which what stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _markers(facts: Facts) -> str:
    return one_line(f"{facts.dataset} {len(facts.keypoints)}") if facts.task == POSE and facts.keypoints else ""


def _classes(classes: Sequence[str]) -> str:
    return one_line(", ".join(classes)) if len(classes) <= MOST_CLASSES else f"{len(classes)} classes"

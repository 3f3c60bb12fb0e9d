"""The gallery as one HTML file that needs nothing else: pictures, labels and findings, with filters.

Pictures are JPEGs inside the page; labels are drawn over them by its script, in px of the picture's file. The page's
content security policy allows its own script and style by their hashes and nothing from anywhere else, and its script
sets text as text only, so that no name in a data set can do more than be read.
"""
from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pose_tools.console import UserError, progress
from pose_tools.console.atomic import temporary_beside
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import keypoint_colours
from pose_tools.report.gallery import Missing, Picture, Shown, in_threads, load, most_keypoints, refuse_if_none
from pose_tools.report.labels import Label, Look, widened

if TYPE_CHECKING:
    from pose_tools.dataset.findings import Finding

PARTS = Path(__file__).with_name("html")
_QUALITY = 80
_SCRIPTS = ("picture.js", "gallery.js")


@dataclass(frozen=True)
class Page:
    """What the page is about, besides its pictures.

    Attributes:
        title: Name of the data set.
        names: Classes and keypoints.
        total: How many pictures the data set has.
        elsewhere: Findings about no picture.
        rules: Title and advice (attributes ``title`` and ``advice``) by rule, as far as known.
        look: What is drawn when the page opens.
        lang: ``"en"`` or ``"zh-TW"``.
        most: Longest side of the pictures in px.
    """

    title: str
    names: KeypointSet
    total: int
    elsewhere: Sequence[Finding] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)
    look: Look = field(default_factory=Look)
    lang: str = "en"
    most: int = 640


def language(environment: Mapping[str, str] | None = None) -> str:
    """The interface's language by the environment's locale: Traditional Chinese where that is set, else English."""
    environment = os.environ if environment is None else environment
    locale = next((environment[key] for key in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(key)), "")
    return "zh-TW" if locale.replace("-", "_").startswith(("zh_TW", "zh_HK", "zh_MO", "zh_Hant")) else "en"


def words(lang: str) -> dict[str, str]:
    """The interface's texts in a language.

    Raises:
        UserError: There is no such language.
    """
    texts = json.loads((PARTS / "words.json").read_text(encoding="utf-8"))
    if lang not in texts:
        raise UserError(f"the page speaks {' and '.join(texts)}, not {lang!r}")
    return texts[lang]


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: rounded to a hundredth of a pixel, null for what is no number."""
    if isinstance(value, float):
        return (round(value, 2) if value % 1 else int(value)) if math.isfinite(value) else None
    return value


def _numbers(values: Any) -> list[Any]:
    return [_plain(float(value)) for value in values]


def _label(label: Label) -> dict[str, Any]:
    box = label.box and (*label.box[:2], label.box[2] - label.box[0], label.box[3] - label.box[1])
    return {"id": label.id, "class": label.category, "crowd": label.crowd, "box": box and _numbers(box),
            "points": _numbers(label.points.ravel()), "outlines": [_numbers(xy.ravel()) for xy in label.outlines]}


def _finding(finding: Finding) -> dict[str, Any]:
    return {"rule": finding.rule, "level": finding.level, "where": finding.where, "what": finding.what,
            "annotation": finding.annotation, "keypoints": list(finding.keypoints),
            "suspicion": _plain(float(finding.suspicion))}


def _entry(picture: Picture, shown: Shown) -> dict[str, Any]:
    return {"split": picture.split, "id": picture.entry["id"], "name": picture.name, "width": shown.size[0],
            "height": shown.size[1], "problem": shown.problem, "missing": shown.missing,
            "labels": [_label(label) for label in picture.labels],
            "findings": [_finding(finding) for finding in picture.findings]}


def _facts(page: Page, pictures: Sequence[Picture], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything the page's script knows."""
    names = widened(page.names, most_keypoints(pictures))
    index = {name: number for number, name in enumerate(names.keypoints)}
    swaps = [(index[a], index[b]) for a, b in names.swaps]
    partner = {a: b for pair in swaps for a, b in (pair, pair[::-1])}
    keypoints = [{"name": name, "colour": "#{2:02x}{1:02x}{0:02x}".format(*colour), "partner": partner.get(number)}
                 for number, (name, colour) in enumerate(zip(names.keypoints, keypoint_colours(names)))]
    findings = [finding for picture in pictures for finding in picture.findings]
    rules = {finding.rule: {"title": str(getattr(page.rules.get(finding.rule), "title", finding.rule)),
                            "advice": str(getattr(page.rules.get(finding.rule), "advice", ""))}
             for finding in (*findings, *page.elsewhere)}
    return {"title": page.title, "words": words(page.lang), "total": page.total, "keypoints": keypoints,
            "links": names.skeleton, "swaps": swaps, "rules": rules, "look": vars(page.look),
            "classes": sorted({label.category for picture in pictures for label in picture.labels}),
            "splits": list(dict.fromkeys(sorted(picture.split for picture in pictures))),
            "elsewhere": [_finding(finding) for finding in page.elsewhere], "pictures": entries}


def for_script(value: Any) -> str:
    """JSON that can stand inside a script element: ``<`` cannot end it, as it is written ``\\u003c``."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def write_page(path: Path, pictures: Sequence[Picture], page: Page) -> Missing:
    """Writes the gallery; the file appears only when it is whole.

    Args:
        path: The HTML file.
        pictures: Those to show, in their order; one is in memory at a time.
        page: What else it says.

    Returns:
        Pictures that could not be read and are grey, and why.

    Raises:
        UserError: None of the pictures can be read, or there is no such language.
    """
    style = (PARTS / "gallery.css").read_text(encoding="utf-8")
    script = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    parts = {"lang": page.lang, "policy": html.escape(policy), "title": html.escape(page.title), "style": style,
             "script": script}
    # One pass: what was put in may hold braces of its own.
    before, after = (re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], half) for half in
                     (PARTS / "gallery.html").read_text(encoding="utf-8").split("{{data}}"))
    with temporary_beside(path) as (temporary, file):
        file.write(before.encode(errors="replace"))
        entries, missing = _write_pictures(file, pictures, page.most)
        facts = for_script(_facts(page, pictures, entries))
        # Half a surrogate pair, which JSON files may hold and UTF-8 has no bytes for, becomes its JSON escape again.
        file.write(f'<script type="application/json" id="facts">{facts}</script>\n'.encode(errors="backslashreplace"))
        file.write(after.encode())
        file.close()  # before the rename, which Windows refuses for an open file
        os.replace(temporary, path)
    return missing


def _write_pictures(file: BinaryIO, pictures: Sequence[Picture], most: int) -> tuple[list[dict[str, Any]], Missing]:
    """Writes each picture's JPEG as an element of its own, and returns what the script has to know of it."""
    import cv2

    def encode(picture: Picture) -> tuple[Picture, Shown, bytes]:
        shown = load(picture, most)
        _, data = cv2.imencode(".jpg", shown.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return picture, shown, base64.b64encode(data)

    entries: list[dict[str, Any]] = []
    missing: Missing = []
    for number, (picture, shown, data) in enumerate(progress(in_threads(encode, pictures), "reading", len(pictures))):
        file.write(b'<script type="text/plain" id="jpeg-%d">%s</script>\n' % (number, data))
        entries.append(_entry(picture, shown))
        if shown.missing:
            missing.append((picture, shown.problem))
    refuse_if_none(missing, len(pictures))
    return entries, missing

"""The model card, README.md: what the hub indexes, then what a person wants to know before using a model."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pose_tools.weights.release.calibration import told_calibration
from pose_tools.weights.release.facts import DETECTION, FRAMEWORKS, POSE, Facts
from pose_tools.weights.release.half import FP16
from pose_tools.weights.release.licences import licence_header
from pose_tools.weights.release.markdown import code, listed, one_line, table, text
from pose_tools.weights.release.scores import own_scores, scores_section

PIPELINES = {POSE: ("keypoint-detection", "Keypoint detection"), DETECTION: ("object-detection", "Object detection")}


@dataclass(frozen=True)
class Card:
    """What a model card is written from.

    Attributes:
        name: Of the model.
        facts: Of the model.
        meta: Of the published checkpoint, its scores as :func:`~.metrics.normal_metrics` gives them.
        config: Values of its config, without paths of a machine.
        training: Rows about its training.
        files: Names of the release's files and what they are; the checkpoint is the first.
        licence: As the user gave it; empty where they did not.
        repository: ``hf:USER/REPO``; empty where it goes nowhere.
        sample: What the sample picture shows; empty where there is none.
    """

    name: str
    facts: Facts
    meta: Mapping[str, Any]
    config: Mapping[str, Any]
    training: Sequence[tuple[str, str]]
    files: Mapping[str, str]
    licence: str = ""
    repository: str = ""
    sample: str = ""


def model_card(card: Card) -> str:
    """Writes a model card: YAML between lines of dashes, then Markdown.

    Args:
        card: What to write from; all of its text is escaped.
    """
    parts = ["---\n" + _header(card) + "---", f"# {text(card.name)}", _summary(card)]
    if card.sample:
        parts.append(f"![{text(card.sample)}](sample.jpg)\n\n*{text(card.sample)}*")
    parts += ["## Model", _model(card)]
    if card.facts.keypoints:
        parts += ["## Keypoints", _keypoints(card.facts)]
    parts += ["## Scores", scores_section(card.meta, card.config, card.facts),
              "## Training", table(["what", "recorded"], [[text(what), text(value)] for what, value in card.training]),
              "## Use", _use(card),
              "## Files", _files(card),
              "## Licence", text(card.licence) if card.licence
              else "None is stated; ask the authors before you use these files or pass them on."]
    return "\n\n".join(parts) + "\n"


def title_of(name: str, facts: Facts) -> str:
    """Says in one line what a model is, for listings.

    Args:
        name: Of the model.
        facts: Of the model.
    """
    what = ", ".join(facts.classes[:5]) + (", ..." if len(facts.classes) > 5 else "")
    if facts.task == POSE:
        return one_line(f"{name}: {len(facts.keypoints)} keypoints{f' of {what}' if what else ''}")
    return one_line(f"{name}: detection{f' of {what}' if what else ''}")


def _header(card: Card) -> str:
    """What the hub reads: hub-docs, modelcard.md."""
    kind, kind_name = PIPELINES[card.facts.task]
    framework = FRAMEWORKS[card.facts.task]
    dataset = one_line(card.facts.dataset)
    tags = [framework, kind, *map(_slug, card.facts.parts.values()), _slug(dataset)]
    header: dict[str, Any] = {
        **licence_header(card.licence), "library_name": framework, "pipeline_tag": kind,
        "tags": [tag for tag in dict.fromkeys(tags) if tag]}
    if scores := own_scores(card.meta):
        on = " ".join(filter(None, (dataset, one_line(card.meta.get("metrics_on") or ""))))
        results = {
            "task": {"type": kind, "name": kind_name},
            "dataset": {"type": _slug(dataset) or "unnamed", "name": on or "unnamed"},
            "metrics": [{"type": one_line(name), "value": value} for name, value in scores.items()]}
        header["model-index"] = [{"name": card.name, "results": [results]}]
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=1000)


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", one_line(name).lower()).strip("-.")


def _summary(card: Card) -> str:
    facts = card.facts
    classes = f" ({listed(facts.classes, 20)})" if facts.classes else ""
    if facts.task == POSE:
        return (f"A keypoint model: finds {len(facts.keypoints)} points of an object{classes}, in the box around it "
                "(top-down). It needs the boxes of a detector, or pictures of one object each.")
    return f"A detector: finds objects{classes} and the boxes around them."


def _model(card: Card) -> str:
    facts = card.facts
    rows = [["task", PIPELINES[facts.task][1].lower()], ["framework", FRAMEWORKS[facts.task]],
            ["classes", listed(facts.classes) or "not recorded"],
            *([text(what.replace("_", " ")), code(name)] for what, name in facts.parts.items()),
            ["values in its weights", f"{facts.values:,}"]]
    if card.meta.get("calibration"):
        rows.append(["keypoint scores", text(told_calibration(card.meta["calibration"]))])
    if card.meta.get("precision") == FP16:
        rows.append(["stored as", "fp16, but for the statistics of normalisation; whatever loads them makes fp32 of "
                                  "them. Scores that the training counted are of the weights before they were rounded"])
    return table(["what", "is"], rows)


def _keypoints(facts: Facts) -> str:
    rows = [[str(number), text(point.name), text(point.partner), "" if point.sigma is None else f"{point.sigma:.4g}",
             point.colour] for number, point in enumerate(facts.keypoints)]
    links = "; ".join(f"{text(first)} – {text(second)}" for first, second in facts.links)
    return "\n\n".join([
        table(["index", "keypoint", "swaps with", "OKS sigma", "colour"], rows),
        "Points that swap change places in a mirrored picture. Sigmas are shares of an object's scale, the root of its "
        "area.",
        f"Skeleton: {links}." if links else "No links between them are recorded."])


def _use(card: Card) -> str:
    checkpoint = next(iter(card.files))
    place = f"checkpoint/{card.name}/{checkpoint}"
    if card.facts.task == POSE:
        predict = f"python pose_tools/predict.py photo.jpg --pose {place} --out found"
        boxes = "`--det DETECTOR.pth` finds the objects first; without it the whole picture is taken for one.\n\n"
        python = ["from pose_tools.inference.topdown import TopDown", "from pose_tools.report.draw import imread",
                  f'found = TopDown(None, "{checkpoint}")(imread("photo.jpg"))  '
                  "# .keypoints: (N, K, 2), px of the picture"]
    else:
        predict = f"python pose_tools/predict.py photo.jpg --det {place} --pose KEYPOINT_MODEL.pth --out found"
        boxes = ""
        python = ["import pose_tools.openmmlab; from mmdet.apis import inference_detector, init_detector",
                  f'model = init_detector("{card.name}.py", "{checkpoint}", device="cpu")',
                  'found = inference_detector(model, "photo.jpg").pred_instances  '
                  "# .bboxes: (N, 4) xyxy, px of the picture"]
    where = card.repository or "FOLDER_OF_THIS_FILE"
    commands = [f"python tools/download_weights.py {card.name} --catalog {where}", predict]
    return ("In a copy of the project it was made with; every file is checked by its SHA-256:\n\n"
            f"```bash\n{_lines(commands)}```\n\n{boxes}In Python, beside these files, with the project on the path:"
            f"\n\n```python\n{_lines(python)}```")


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _files(card: Card) -> str:
    rows = [[code(name), text(what)] for name, what in card.files.items()]
    return table(["file", "what it is"], rows) + "\n\n`sha256sum -c SHA256SUMS` checks them."

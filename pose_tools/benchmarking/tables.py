"""Figures as tables for a terminal, as markdown and as JSON.

Keys of a result, as ``measure`` gives it and ``--json`` writes it: ``_ms`` milliseconds (medians where nothing else is
said), ``_s`` seconds, ``_mb`` MB of 10^6 bytes. ``models[].network``: runs of the bare network on a batch;
``models[].stages`` and ``pipelines[].stages``: predictions of a picture by number of boxes; ``spread``: by how much the
rounds differ, (largest - smallest) / median.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from pose_tools.benchmarking.machine import machine_line
from pose_tools.console import table
from pose_tools.console.atomic import write_whole
from pose_tools.inference.runtime.stages import STAGES

_NAME = ("model", "run by", "precision")
_MODEL = (*_NAME, "input", "file MB", "M parameters", "GMACs", "GFLOPs")
_START = (*_NAME, "libraries s", "load s", "first run ms", "libraries MB", "model adds MB", "peak MB")
_NETWORK = (*_NAME, "batch", "p50 ms", "p90 ms", "p99 ms", "items/s", "first run ms", "peak MB", "spread")
_STAGES = ("decode", *STAGES, "all", "p90", "pictures/s")
_PIPELINE = ("models", "run by", "precision", "boxes", "decode", "detector", "keypoints", "all", "p90", "pictures/s",
             "peak MB")


class Table(NamedTuple):
    """A table and what stands above it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def markdown_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Lays out rows as a markdown table; columns of numbers to the right.

    Args:
        rows: Cells; floats are shown with three significant digits, ``None`` as a dash.
        header: Column titles.
    """
    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "&#124;") for cell in cells) + " |"

    right = [bool(rows) and all(isinstance(row[i], (int, float, type(None))) for row in rows)
             for i in range(len(header))]
    rule = "|" + "|".join("---:" if to_right else "---" for to_right in right) + "|"
    return "\n".join([line(header), rule, *(line([short(cell) for cell in row]) for row in rows)])


def short(value: object, digits: int = 3) -> object:
    """Rounds a float to some significant digits, and to a whole number from there on; ``None`` becomes a dash."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return value
    return round(value) if abs(value) >= 10 ** (digits - 1) else float(f"{value:.{digits}g}")


def as_text(result: dict[str, Any]) -> str:
    """Lays out a result for a terminal."""
    parts = [_first_line(result)]
    for each in tables_of(result):
        parts.append(f"{each.title}\n" + table([[short(cell) for cell in row] for row in each.rows], each.header))
    return "\n\n".join([*parts, *([_notes(result)] if result["notes"] else [])])


def as_markdown(result: dict[str, Any]) -> str:
    """Lays out a result as markdown."""
    parts = [_first_line(result)]
    parts += [f"{each.title}:\n\n{markdown_table(each.rows, each.header)}" for each in tables_of(result)]
    return "\n\n".join([*parts, *([_notes(result)] if result["notes"] else [])])


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Writes a result in one step."""
    write_whole(path, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())


def present(text: str, result: dict[str, Any], file: Optional[Path]) -> None:
    """Prints tables, and writes the figures behind them where a file was asked for."""
    print(text)
    if file:
        write_json(file, result)


def tables_of(result: dict[str, Any]) -> list[Table]:
    """All tables of a result that have rows."""
    models, pipelines = result["models"], result["pipelines"]
    found = [Table("models; GMACs of convolutions and matrix products for one input, GFLOPs = 2 GMACs", _MODEL,
                   [_model_row(each) for each in models]),
             Table("start and memory of the process", _START, [_start_row(each) for each in models]),
             Table("network alone", _NETWORK, [_network_row(each, row) for each in models for row in each["network"]])]
    for task, what in (("detector", "detectors"), ("pose", "keypoint models")):
        rows = [_stage_row(each, row, task) for each in models if each["task"] == task for row in each["stages"]]
        found.append(Table(f"{what}, from picture file to image px, ms", (*_NAME, "boxes", *_STAGES), rows))
    rows = [_pair_row(each, row) for each in pipelines for row in each["stages"]]
    found.append(Table("detector and keypoint model, from picture file to image px, ms", _PIPELINE, rows))
    return [each for each in found if each.rows]


def _model_row(model: dict[str, Any]) -> list[object]:
    size = model["complexity"] or {}
    return [*_name(model), "x".join(map(str, model["input_size"])), model["file_mb"], size.get("parameters_m"),
            size.get("gmacs"), size.get("gflops")]


def _start_row(model: dict[str, Any]) -> list[object]:
    keys = ("libraries_s", "load_s", "first_call_ms", "libraries_mb", "model_mb", "peak_mb")
    return [*_name(model), *(model[key] for key in keys)]


def _network_row(model: dict[str, Any], row: dict[str, Any]) -> list[object]:
    keys = ("batch", "p50_ms", "p90_ms", "p99_ms", "items_per_s", "first_call_ms", "peak_mb")
    return [*_name(model), *(row[key] for key in keys), f"{row['spread']:.0%}"]


def _stage_row(model: dict[str, Any], row: dict[str, Any], task: str) -> list[object]:
    parts = [row[f"{task}_{stage}_ms"] for stage in STAGES]
    return [*_name(model), _boxes(row), row["decode_ms"], *parts, row["total_ms"], row["p90_ms"],
            row["pictures_per_s"]]


def _pair_row(pair: dict[str, Any], row: dict[str, Any]) -> list[object]:
    models = [sum(row[f"{task}_{stage}_ms"] for stage in STAGES) for task in ("detector", "pose")]
    return [f"{pair['detector']} + {pair['pose']}", pair["backend"], pair["precision"], _boxes(row), row["decode_ms"],
            *models, row["total_ms"], row["p90_ms"], row["pictures_per_s"], pair["peak_mb"]]


def _name(model: dict[str, Any]) -> list[object]:
    weights = "" if model["weights"] in ("fp32", model["precision"]) else f" ({model['weights']} weights)"
    return [model["file"], model["backend"], model["precision"] + weights]


def _boxes(row: dict[str, Any]) -> object:
    return f"{row['mean_boxes']:.1f} found" if row["boxes"] is None else row["boxes"]


def _first_line(result: dict[str, Any]) -> str:
    settings, load = result["settings"], result["machine"]["load"]
    said = "" if load is None else f"; load before {load:.2f}"
    return (f"{machine_line(result['machine'])}{said}\n"
            f"{settings['rounds']} round{'s' * (settings['rounds'] != 1)} in turn, {settings['seconds']:g} s a figure")


def _notes(result: dict[str, Any]) -> str:
    return "\n".join(f"note: {note}" for note in result["notes"])

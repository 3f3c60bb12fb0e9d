"""Scores that belong to a checkpoint: those of its run, and those of a later test."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pose_tools.console import UserError


def metrics_in_checkpoint(checkpoint: dict[str, Any], source: Path) -> dict[str, Any]:
    """Finds validation scores in a checkpoint of mmengine.

    Args:
        checkpoint: What was read; its ``message_hub`` holds the run's log.
        source: The file, whose name tells whether it was saved as the best.

    Returns:
        ``metrics``: the newest validation scores by name, and ``metrics_of``: what they are scores of. A
        checkpoint is saved before its epoch is validated, except the best ones, so the newest scores are
        those of an earlier one. Empty where there are none; those of a published file are kept.
    """
    meta = checkpoint.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("metrics"), dict):
        return {key: meta[key] for key in ("metrics", "metrics_of") if key in meta}
    hub = checkpoint.get("message_hub")
    logs = hub.get("log_scalars") if isinstance(hub, dict) else None
    if not isinstance(logs, dict):
        return {}
    scores = {}
    for name, history in logs.items():
        if str(name).startswith("val/") and name not in ("val/time", "val/data_time"):
            values = getattr(history, "data", ((), ()))[0]
            if len(values):
                scores[str(name)[4:]] = float(values[-1])
    if not scores:
        return {}
    info = hub.get("runtime_info") or {}
    best = [re.split(r"[\\/]", str(path))[-1] for key, path in info.items() if key.startswith("best_ckpt")]
    of = "these weights" if source.name in best else "the last validation before these weights were saved"
    return {"metrics": scores, "metrics_of": of}


def metrics_in_file(path: str | Path) -> dict[str, Any]:
    """Reads scores of a test.

    Args:
        path: A JSON file that holds an object.

    Returns:
        ``metrics`` and ``metrics_of``.

    Raises:
        UserError: It is missing, not JSON, or not an object.
    """
    path = Path(path)
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    if not isinstance(scores, dict):
        raise UserError(f"{path}: holds a {type(scores).__name__}, not an object of named scores")
    return {"metrics": scores, "metrics_of": "these weights"}

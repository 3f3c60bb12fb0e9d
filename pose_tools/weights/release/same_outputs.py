"""Proving that a published file does what the checkpoint does."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_tools.console import UserError
from pose_tools.weights.embedded import check_model_types, parse_config_text
from pose_tools.weights.pretrained import state_dict_of
from pose_tools.weights.release.half import largest_difference, to_half

if TYPE_CHECKING:
    import torch

DETECTOR_SIDE = 320  # px; a multiple of every stride, small enough to be quick


def verify_same_outputs(source: Path, config: dict[str, Any], published: Path, trusted: bool = False,
                        rounded: bool = False) -> str:
    """Builds the model twice, from the source and from nothing but the published file, and compares outputs.

    Args:
        source: The checkpoint of the run.
        config: Its config.
        published: The file made from it, ``.pth`` or ``.safetensors``.
        trusted: The config is the user's own file, so it may build what it likes.
        rounded: The published weights are those of the source rounded to fp16; then the outputs must be those of
            the source with its weights so rounded.

    Returns:
        What to tell: that they are the same, or how far rounding moved them.

    Raises:
        UserError: A ``.pth`` does not load with plain ``torch.load(weights_only=True)``, the weights do not fit
            the config, or an output differs in any bit.
    """
    import torch

    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    weights = state_dict_of(load_checkpoint_file(source), source)
    before = model_outputs(config, weights, source, trusted)
    expected = model_outputs(config, to_half(weights), source, trusted) if rounded else before
    try:
        if published.suffix == ".safetensors":
            alone = load_checkpoint_file(published)
        else:
            alone = torch.load(published, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever it is, it must not be published
        raise UserError(f"{source}: not published: the new file does not load: {error}") from error
    own_config = parse_config_text(alone["meta"]["cfg"], source)
    after = model_outputs(own_config, alone["state_dict"], source, trusted)
    same = len(expected) == len(after) and all(map(torch.equal, expected, after))
    if not same:
        raise UserError(f"{source}: not published: the new file gives other outputs on the same input")
    if not rounded:
        return f"gives the same outputs as {source} on a fixed input"
    difference, magnitude = largest_difference(before, after)
    return (f"gives the outputs of {source} with its weights rounded to fp16; on a fixed input they differ by at most "
            f"{difference:.2g} from those without, where the greatest is {magnitude:.2g}")


def model_outputs(config: dict[str, Any], weights: dict[str, Any], file: Path,
                  trusted: bool = False) -> list[torch.Tensor]:
    """Builds a model, loads weights into it, every one, and runs it on a fixed random input.

    Args:
        config: Values of a config with ``model`` and ``default_scope``.
        weights: Names and tensors.
        file: Named in errors.
        trusted: As for :func:`verify_same_outputs`.

    Returns:
        The model's raw outputs (before decoding), in order.

    Raises:
        UserError: The model cannot be built, the weights do not fit it exactly, or an output is not finite.
    """
    import torch

    model = _built(config, file, trusted)
    missing, unexpected = _mismatch(model, weights, file)
    if missing or unexpected:
        raise UserError(f"{file}: its weights and its config do not belong together: "
                        f"{_some(missing)} missing, {_some(unexpected)} too many")
    width, height = _input_size(config)
    image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    model.eval()
    with torch.no_grad():
        outputs = list(_tensors(model(image, data_samples=None, mode="tensor")))
    if not outputs or not all(bool(torch.isfinite(out).all()) for out in outputs):
        raise UserError(f"{file}: the model gives no finite output; the training has diverged")
    return outputs


def _built(config: dict[str, Any], file: Path, trusted: bool) -> torch.nn.Module:
    from mmengine.config import ConfigDict
    from mmengine.registry import MODELS, DefaultScope

    import pose_tools.openmmlab  # noqa: F401  makes mmdet and mmpose work

    if "model" not in config:
        raise UserError(f"{file}: the config in it describes no model")
    if not trusted:
        check_model_types(config["model"], file)
    scope = config.get("default_scope") or "mmengine"
    if scope not in ("mmengine", "mmdet", "mmpose") and not trusted:
        raise UserError(f"{file}: the config in it is for {scope!r}; mmdet and mmpose are supported")
    try:
        with DefaultScope.overwrite_default_scope(scope):
            return MODELS.build(ConfigDict(config["model"]))
    except Exception as error:  # a config can be wrong in any way at all
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"{file}: the model of its config cannot be built: {reason[:200]}; "
                        "if it needs modules of your own, give the config with --config") from error


def _mismatch(model: torch.nn.Module, weights: dict[str, Any], file: Path) -> tuple[list[str], list[str]]:
    try:
        found = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # shapes differ
        reason = (str(error).splitlines() or [""])[-1].strip()
        raise UserError(f"{file}: its weights and its config do not belong together: {reason}") from error
    return list(found.missing_keys), list(found.unexpected_keys)


def _some(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names[:3])})" if names else "none"


def _input_size(config: dict[str, Any]) -> tuple[int, int]:
    """Width and height to try a model with: a pose head's own, or a detector's multiple of all strides."""
    head = config["model"].get("head") or {}
    codec = config.get("codec") or {}
    size = head.get("input_size") if isinstance(head, dict) else None
    size = size or (codec.get("input_size") if isinstance(codec, dict) else None)
    return tuple(size) if size else (DETECTOR_SIDE, DETECTOR_SIDE)


def _tensors(outputs: Any) -> Any:
    """Goes through tensors in nested tuples, lists and dicts."""
    import torch

    if isinstance(outputs, torch.Tensor):
        yield outputs
    elif isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        for part in outputs:
            yield from _tensors(part)

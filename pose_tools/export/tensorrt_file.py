"""TensorRT: an engine for the GPU it is built on, made from ONNX where ``tensorrt`` is installed."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole

MOST_BATCH, USUAL_BATCH = 32, 8  # of an engine with a dynamic batch


def import_tensorrt() -> Any:
    """Imports TensorRT.

    Raises:
        UserError: It is not there, or does not load.
    """
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise UserError("needs TensorRT on a machine with an NVIDIA GPU: pip install tensorrt "
                        f"({error})") from error
    return tensorrt


def write_tensorrt(onnx_file: Path, path: Path, metadata: Mapping[str, str], precision: str,
                   batch: Optional[int]) -> list[Path]:
    """Builds an engine; takes minutes. It runs on this kind of GPU and with this version of TensorRT only.

    Args:
        onnx_file: In fp32.
        path: ``.engine`` to write; the metadata go beside it, ``.engine.json``.
        metadata: ``ModelFacts.to_metadata()``.
        precision: ``fp32`` or ``fp16``, in which TensorRT then may compute where that is faster.
        batch: Images of a run; ``None`` for 1 to :data:`MOST_BATCH`.

    Raises:
        UserError: TensorRT is not there, or cannot build the network; says what it says.
    """
    trt = import_tensorrt()
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    # From TensorRT 10 on all networks have explicit batches, and the flag is gone.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    if not parser.parse(onnx_file.read_bytes()):
        said = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise UserError(f"{onnx_file.name}: TensorRT {trt.__version__} does not read it: {said}")
    config = builder.create_builder_config()
    if precision == "fp16":
        config.set_flag(trt.BuilderFlag.FP16)
    if batch is None:
        entry, profile = network.get_input(0), builder.create_optimization_profile()
        profile.set_shape(entry.name, *((count, *tuple(entry.shape)[1:]) for count in (1, USUAL_BATCH, MOST_BATCH)))
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UserError(f"{onnx_file.name}: TensorRT {trt.__version__} could not build an engine; its log is above")
    beside = path.with_name(path.name + ".json")
    write_whole(beside, (json.dumps(dict(metadata), ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
    write_whole(path, bytes(engine))
    return [beside, path]

"""Several processes on a CPU, over gloo.

Stands in for ``mmengine/dist/utils.py:131`` (``torch.cuda.set_device`` whatever the backend),
``mmengine/runner/runner.py:898`` (``device_ids`` given to DDP for a model on the CPU) and SyncBN, which
PyTorch only has on accelerators: in several CPU processes it becomes plain BN, as upstream itself does for
one process. Each process then normalises by its own share of the batch.
"""
from __future__ import annotations

from typing import Any, Optional


def _init_dist_cpu(backend: str, init_backend: str = "torch", **kwargs: Any) -> None:
    import torch.distributed

    torch.distributed.init_process_group(backend="gloo", **kwargs)


def install() -> None:
    """Patches mmengine's process-group start and model wrapping; both leave GPUs to upstream."""
    import torch
    from mmengine.dist import utils
    from mmengine.runner import Runner

    if getattr(Runner.wrap_model, "on_cpu", False):
        return
    init_upstream, wrap_upstream = utils._init_dist_pytorch, Runner.wrap_model

    def _init_dist_pytorch(backend: str, init_backend: str = "torch", **kwargs: Any) -> None:
        start = init_upstream if torch.cuda.is_available() or backend not in ("nccl", "gloo") else _init_dist_cpu
        start(backend, init_backend=init_backend, **kwargs)

    def wrap_model(self: Runner, model_wrapper_cfg: Optional[dict], model: torch.nn.Module) -> torch.nn.Module:
        from mmengine.device import get_device
        from mmengine.model import MMDistributedDataParallel, is_model_wrapper, revert_sync_batchnorm

        if not self.distributed or get_device() != "cpu" or model_wrapper_cfg or is_model_wrapper(model):
            return wrap_upstream(self, model_wrapper_cfg, model)
        return MMDistributedDataParallel(
            module=revert_sync_batchnorm(model.to("cpu")), broadcast_buffers=False,
            find_unused_parameters=self.cfg.get("find_unused_parameters", False))

    wrap_model.on_cpu = True  # type: ignore[attr-defined]
    utils._init_dist_pytorch = _init_dist_pytorch
    Runner.wrap_model = wrap_model

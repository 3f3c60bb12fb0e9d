"""torch.compile for the parts of a model where it wins, tried before the run and given up where it does not.

Backbone and neck hold nearly all of the arithmetic and have no control flow that depends on the data; the heads, the
assignment and the losses stay as they are. Compiled code serves training steps of full batches; validation and the
last batch of an epoch, of another size, run as always, so nothing is compiled twice.
"""
from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

import torch
from torch import nn

PARTS = ("backbone", "neck")
ROUNDS = 3


def compile_parts(model: nn.Module, batch: int, size: tuple[int, int], device: str) -> str:
    """Compiles backbone and neck, and keeps what is faster.

    Names of weights do not change, so checkpoints do not either. Call it before precision is applied to the model or
    after, but on the device it trains on.

    Args:
        model: A detector or pose estimator with ``extract_feat``.
        batch: Images a step.
        size: Width and height of the network input, px.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        A line that says what came out: the times, or why the model stays as it was.
    """
    image = torch.zeros((batch, 3, size[1], size[0]), device=device).to(memory_format=torch.channels_last)
    modules = [module for name in PARTS if isinstance(module := getattr(model, name, None), nn.Module)]
    plain = {module: module.__dict__.get("forward") for module in modules}
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    was_training = model.training
    model.train()
    try:
        compiled = {module: _compiled_in_training(module) for module in modules}
        _use(compiled)
        took = _seconds(model, image, device)
        rounds = []
        for _ in range(ROUNDS):  # in turn: what else runs on the machine slows both
            _use(plain)
            slow = _seconds(model, image, device)
            _use(compiled)
            rounds.append((slow, _seconds(model, image, device)))
        slow, fast = (statistics.median(times) for times in zip(*rounds))
        if fast < slow:
            return f"compiled in {took:.0f} s: backbone and neck take {fast:.3f} s a step instead of {slow:.3f}"
        reason = f"compiled, backbone and neck take {fast:.3f} s a step, as they are {slow:.3f}"
    except Exception as error:  # whatever the compiler, the linker or the tracer raised
        reason = _first_line(error)
    finally:
        model.train(was_training)
        for name, value in model.named_buffers():
            value.copy_(buffers[name])  # the running means of the trial
        model.zero_grad(set_to_none=True)
    _use(plain)
    return f"--compile: going on without ({reason})"


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text else type(error).__name__


def _use(forwards: Mapping[nn.Module, Optional[Callable[..., Any]]]) -> None:
    """Sets the ``forward`` of modules; None for that of their class."""
    for module, forward in forwards.items():
        if forward is None:
            module.__dict__.pop("forward", None)
        else:
            module.forward = forward


def _compiled_in_training(module: nn.Module) -> Callable[..., Any]:
    forward = module.forward
    compiled = torch.compile(forward, dynamic=False, fullgraph=True)
    shape: list[Any] = []

    @functools.wraps(forward)
    def wrapped(inputs: Any) -> Any:
        if not (module.training and torch.is_grad_enabled()):
            return forward(inputs)
        seen = [value.shape for value in ([inputs] if isinstance(inputs, torch.Tensor) else inputs)]
        if not shape:
            shape.append(seen)
        return compiled(inputs) if seen == shape[0] else forward(inputs)

    return wrapped


def _seconds(model: nn.Module, image: torch.Tensor, device: str) -> float:
    """Time of forward and backward of backbone and neck."""
    start = time.perf_counter()
    features = model.extract_feat(image)
    sum(feature.float().mean() for feature in features).backward()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start

"""What makes a training step cheaper and leaves its numbers as they are, put together for a runner."""
from __future__ import annotations

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from pose_tools.openmmlab.step.accumulation import use_whole_epochs
from pose_tools.openmmlab.step.allocator import keep_freed_memory
from pose_tools.openmmlab.step.depthwise import use_exact_depthwise_gradients
from pose_tools.openmmlab.step.optimizer import use_grouped_optimizer
from pose_tools.openmmlab.step.weight_average import use_grouped_average


def bare_model(runner: Runner) -> nn.Module:
    """The runner's model without the wrapper of several processes."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def make_step_fast(runner: Runner, device: str) -> None:
    """Exchanges parts of a runner that was built and not started yet.

    The runner's ``cfg``, which is dumped and stands in checkpoints, is another object than the parts exchanged here:
    it goes on naming upstream's classes, and a checkpoint has upstream's keys.

    Args:
        runner: Changed in place.
        device: The device it trains on.
    """
    use_whole_epochs(runner)
    use_grouped_optimizer(runner.optim_wrapper)
    use_grouped_average(runner.hooks)
    model = bare_model(runner)
    use_separate_outputs(model)
    if device == "cpu":
        keep_freed_memory()
        use_exact_depthwise_gradients(model)


def use_separate_outputs(model: nn.Module) -> None:
    """Lets SiLU write its result beside its input.

    Its gradient needs the input, so autograd copies the input first when SiLU works in place: an additional pass over
    every activation that saves no memory. The numbers are the same.
    """
    for module in model.modules():
        if isinstance(module, nn.SiLU):
            module.inplace = False

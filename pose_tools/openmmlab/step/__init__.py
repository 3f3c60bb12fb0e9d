"""The training step: what makes it cheaper, and the number format it is done in.

``fast_step`` puts together what leaves the numbers as they are: freed memory that is kept, depthwise gradients, the
optimiser and the average of the weights over few groups, accumulation. ``precision`` and ``compilation`` are chosen by
the user or by the device. Checkpoints and dumped configs stay upstream's.
"""

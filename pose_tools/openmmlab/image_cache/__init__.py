"""Training samples without decoding a picture again for each of them, equal to upstream's bit for bit.

A keypoint model sees each object of a photograph as a sample of its own, and upstream decodes the photograph for each.
Here what the samples of a picture need of it is kept decoded: the part that the random affine can reach, or the
picture at the one size that a detector's mosaic takes. How it fits together:

- :mod:`~pose_tools.openmmlab.image_cache.store` keeps decoded parts in files, found by the picture's content,
- :mod:`~pose_tools.openmmlab.image_cache.reach` computes which part of a picture a pipeline can reach,
- :mod:`~pose_tools.openmmlab.image_cache.plan` decides what is kept within a budget,
- :mod:`~pose_tools.openmmlab.image_cache.picture` is a picture of which parts are fetched when they are needed,
- ``pose_transforms``, ``detector_transforms`` and ``augmentation`` hold upstream's transforms, made faster,
- :mod:`~pose_tools.openmmlab.image_cache.swap` puts them in the place of upstream's, and
- :mod:`~pose_tools.openmmlab.image_cache.hook` does so when a run starts: no config names them, so that what a run
  dumps is read by others as before.
"""

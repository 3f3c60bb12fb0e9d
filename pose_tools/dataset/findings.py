"""What the doctor says about a data set: faults with a rule's name, a level and a place to draw them at."""
from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pose_tools.console import Fault

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding(Fault):
    """One thing wrong, or suspicious, in a COCO data set; it prints as the :class:`Fault` it is.

    Attributes:
        rule: Which check found it, a key of :data:`pose_tools.dataset.doctor.rules.RULES`.
        level: ``"error"`` for what breaks or ruins a training, ``"warning"`` for what a person should look at.
        image: Id of the image it is about; ``None`` when it is about the whole file.
        annotation: Id of the annotation it is about, if it is about one.
        keypoints: Names of the keypoints it is about, if it is about some.
        suspicion: How bad it is, to show the worst first; comparable between findings of a level only.
    """

    rule: str = ""
    level: str = ERROR
    image: Hashable = None
    annotation: Hashable = None
    keypoints: tuple[str, ...] = ()
    suspicion: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values, for ``--json`` and pages."""
        return {"rule": self.rule, "level": self.level, "file": str(self.file), "where": self.where, "what": self.what,
                "image": self.image, "annotation": self.annotation, "keypoints": list(self.keypoints),
                "suspicion": round(self.suspicion, 4)}

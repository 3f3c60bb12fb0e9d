"""What is measured of one model, or of a detector and a keypoint model together; lives in a process of its own."""
from __future__ import annotations

import contextlib
import gc
import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pose_tools.benchmarking.complexity import complexity_of, input_shape
from pose_tools.benchmarking.inputs import some_boxes
from pose_tools.benchmarking.machine import Others, forget_peak, memory_now, peak_memory
from pose_tools.benchmarking.rounds import time_calls

if TYPE_CHECKING:
    from pose_tools.inference.runtime import Backend

BOX_THRESHOLD = 0.3  # predict.py's
# Loaded, and weighed, before a model is: what it adds is told apart.
_LIBRARIES = {"torch": ("cv2", "torch", "pose_tools.openmmlab.plugins"), "onnxruntime": ("cv2", "onnxruntime"),
              "openvino": ("cv2", "openvino")}


@dataclass(frozen=True)
class Case:
    """A model and what is to run it.

    Attributes:
        path: The file.
        backend: ``torch``, ``onnxruntime`` or ``openvino``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        device: As ``--device``.
        threads: ``None`` where the library chooses.
    """

    path: Path
    backend: str
    precision: str = "auto"
    device: str = "auto"
    threads: Optional[int] = None

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.path.name}, {self.backend}" + (f", {self.precision}" if self.precision != "auto" else "")


def open_case(case: Case) -> Backend:
    """Loads a model."""
    from pose_tools.inference.runtime import open_backend

    return open_backend(case.path, case.backend, case.device, case.precision, case.threads)


class Workbench:
    """One model, or a detector and the keypoint model that takes its boxes.

    Args:
        cases: One, or detector and keypoint model.
        pictures: Files to predict, in turn.
        flip_test: Whether keypoints are predicted on mirrored crops as well.
        batch_size: Crops a run, at most.
        opener: Loads a case.
    """

    def __init__(self, cases: Sequence[Case], pictures: Sequence[Path], flip_test: bool = False,
                 batch_size: int = 32, opener: Callable[[Case], Backend] = open_case) -> None:
        """Loads nothing yet."""
        self.cases, self.pictures, self.flip_test = cases, pictures, flip_test
        self.batch_size, self.opener = batch_size, opener
        self.models: dict[str, Any] = {}  # by task, the detector first
        self._picture = 0
        self._peak: Optional[float] = None

    def open(self) -> dict[str, Any]:
        """Loads the models.

        Returns:
            ``models``: facts of each; ``libraries_s`` and ``load_s``; ``libraries_mb``, the memory before the load.

        Raises:
            UserError: A model cannot be loaded.
        """
        start = time.perf_counter()
        with contextlib.suppress(ImportError):  # loading the model says what is missing
            for name in (each for case in self.cases for each in _LIBRARIES[case.backend]):
                importlib.import_module(name)
        if self.cases[0].threads and (cv2 := _opencv()):
            cv2.setNumThreads(self.cases[0].threads)
        gc.collect()
        loading, self._before = time.perf_counter(), memory_now()
        backends = [self.opener(case) for case in self.cases]
        for backend in backends:
            self._take(backend)
        loaded = time.perf_counter()
        self._note_peak()
        return {"models": [_described(backend) for backend in backends], "libraries_s": loading - start,
                "load_s": loaded - loading, "libraries_mb": self._before}

    def _take(self, backend: Backend) -> None:
        from pose_tools.inference.runtime import DetectorModel, PoseModel

        if backend.facts.task == "pose":
            self.models["pose"] = PoseModel(backend, flip_test=self.flip_test, batch_size=self.batch_size)
        else:
            self.models["detector"] = DetectorModel(backend, score_threshold=BOX_THRESHOLD)

    def warm_network(self, batch: int) -> dict[str, Any]:
        """Runs the network on a batch for the first time, and then until it runs as it will.

        Returns:
            ``first_call_ms``; ``peak_mb`` of the process meanwhile; ``model_mb``, what the process has grown by since
            before the model was loaded, what its library imports only then included.
        """
        self._note_peak()
        forget_peak()
        run = self._network(batch)
        start = time.perf_counter()
        run()
        first = time.perf_counter() - start
        time_calls(run, 0.3)
        now, peak = memory_now(), peak_memory()
        self._note_peak()
        grown = None if now is None or self._before is None else now - self._before
        return {"first_call_ms": first * 1000, "peak_mb": peak, "model_mb": grown}

    def time_network(self, batch: int, seconds: float) -> dict[str, Any]:
        """Times runs on a batch: ``seconds`` of each call, and the share of the machine that ``others`` took."""
        others = Others()
        with others.watched():
            taken = time_calls(self._network(batch), seconds)
        return {"seconds": taken, "others": others.share}

    def _network(self, batch: int) -> Callable[[], Any]:
        backend = next(iter(self.models.values())).backend
        shape = input_shape(backend.facts, batch)
        rng = np.random.default_rng(0)
        data = (rng.integers(0, 256, shape, dtype=np.uint8) if backend.facts.end_to_end
                else rng.standard_normal(shape, dtype=np.float32))
        return lambda: backend.run(data)

    def warm_stages(self, boxes: Optional[int]) -> None:
        """Predicts a picture, not timed; see :meth:`time_stages`."""
        self._predict(boxes, [], [])

    def time_stages(self, boxes: Optional[int], seconds: float) -> dict[str, Any]:
        """Times whole predictions, from picture file to results.

        Args:
            boxes: For the keypoint model in each picture; ``None`` for as many as the detector finds.
            seconds: How long, at least.

        Returns:
            ``seconds``: of each prediction by stage: ``decode``, ``TASK_STAGE`` for each model and ``total``;
            ``boxes``: the mean number in a picture; ``others`` as above.
        """
        rows: list[dict[str, float]] = []
        counts: list[int] = []
        others = Others()
        with others.watched():
            time_calls(lambda: self._predict(boxes, rows, counts), seconds)
        return {"seconds": {key: [row[key] for row in rows] for key in rows[0]},
                "boxes": sum(counts) / len(counts), "others": others.share}

    def _predict(self, count: Optional[int], rows: list[dict[str, float]], counts: list[int]) -> None:
        from pose_tools.report.draw import imread

        start = time.perf_counter()
        image = imread(self.pictures[self._picture % len(self.pictures)])
        row = {"decode": time.perf_counter() - start}
        self._picture += 1
        boxes = np.zeros((0, 4), np.float32)
        for task, model in self.models.items():
            model.clock.reset()
            if task == "detector":
                boxes = model(image)[0]
            else:
                boxes = boxes if count is None else some_boxes(image.shape[1::-1], count)
                model(image, boxes)
            row.update({f"{task}_{stage}": seconds for stage, seconds in model.clock.seconds.items()})
        rows.append({**row, "total": time.perf_counter() - start})
        counts.append(len(boxes))

    def finish(self) -> dict[str, Any]:
        """Gives the ``peak_mb`` of all that went before, and of one model its ``complexity`` or ``why_not``."""
        self._note_peak()
        found: dict[str, Any] = {"peak_mb": self._peak, "complexity": None, "why_not": ""}
        if len(self.cases) > 1:
            return found
        facts = next(iter(self.models.values())).facts
        try:
            found["complexity"] = complexity_of(self.cases[0].path, facts).to_dict()
        except ImportError as error:
            found["why_not"] = f"operations are not counted: {error}"
        return found

    def _note_peak(self) -> None:
        peak = peak_memory()
        if peak is not None:
            self._peak = max(peak, self._peak or 0.0)


def _opencv() -> Any:
    with contextlib.suppress(ImportError):
        import cv2

        return cv2
    return None


def _described(backend: Backend) -> dict[str, Any]:
    facts = backend.facts
    return {"name": facts.name, "task": facts.task, "input_size": list(facts.input_size), "batch": facts.batch,
            "end_to_end": facts.end_to_end, "weights": facts.precision, "backend": backend.name,
            "precision": getattr(backend, "precision", facts.precision),
            "file_mb": sum(file.stat().st_size for file in _files(backend.path)) / 1e6}


def _files(path: Path) -> Iterator[Path]:
    yield path
    if path.suffix == ".xml" and path.with_suffix(".bin").is_file():
        yield path.with_suffix(".bin")

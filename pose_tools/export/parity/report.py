"""What the gate found: the table it prints, and whether the export passes."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Optional

from pose_tools.console import table
from pose_tools.export.parity.differences import Spread
from pose_tools.export.parity.tolerance import ENOUGH_LABELLED


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: Which output.
        unit: Of the numbers.
        spread: The differences.
        statistic: Which of them is judged; ``""`` for a line that only informs.
        limit: What it may be at most.
    """

    what: str
    unit: str
    spread: Spread
    statistic: str = ""
    limit: float = math.inf

    @property
    def passed(self) -> bool:
        """Whether the judged statistic is within the limit; so are no values at all, but not NaN."""
        if not self.statistic or math.isinf(self.limit) or not self.spread.count:
            return True
        return getattr(self.spread, self.statistic) <= self.limit

    def cells(self) -> list[Any]:
        """The columns of :meth:`Report.table`."""
        spread = self.spread
        numbers = [_short(value) for value in (spread.mean, spread.p95, spread.p99, spread.max)]
        judged = bool(self.statistic) and not math.isinf(self.limit)
        limit = f"{self.statistic} <= {self.limit:g}" if judged else ""
        verdict = "ok" if self.passed else "FAILS"
        return [self.what, self.unit, spread.count, *numbers, limit, verdict if judged else ""]


def _short(value: float) -> str:
    return "-" if math.isnan(value) else "0" if value == 0 else f"{value:.3g}"


@dataclass(frozen=True)
class Accuracy:
    """AP of both models by the same code.

    Attributes:
        metric: Such as ``keypoint AP``.
        reference: Of the checkpoint, 0 to 1.
        exported: Of the exported file.
        labelled: How many labelled objects it was measured on.
    """

    metric: str
    reference: float
    exported: float
    labelled: int

    @property
    def drop(self) -> float:
        """By how much the exported file is worse; negative where it is better."""
        return self.reference - self.exported

    @property
    def enough(self) -> bool:
        """Whether it was measured on enough objects to mean something."""
        return self.labelled >= ENOUGH_LABELLED


@dataclass
class Report:
    """The outcome of comparing an exported file with its checkpoint.

    Attributes:
        exported: Name of the file.
        pictures: What they were compared on, in words.
        rows: Differences.
        accuracy: AP of both; ``None`` where nothing is labelled.
        max_ap_drop: What its drop may be at most.
        faults: Whatever else is wrong, a line each; one is enough to fail.
        notes: What is worth knowing, a line each.
    """

    exported: str
    pictures: str
    rows: list[Row] = field(default_factory=list)
    accuracy: Optional[Accuracy] = None
    max_ap_drop: float = math.inf
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def failures(self) -> list[str]:
        """Why the export fails, a line each; empty when it passes."""
        found = list(self.faults)
        for row in self.rows:
            if not row.passed:
                value = _short(getattr(row.spread, row.statistic))
                found.append(f"{row.what}: {row.statistic} of the differences is {value} {row.unit}, "
                             f"more than {row.limit:g}".replace(" ,", ","))
        if self._ap_fails():
            assert self.accuracy is not None
            found.append(f"{self.accuracy.metric} drops by {self.accuracy.drop:.4f}, more than {self.max_ap_drop:g}")
        return found

    @property
    def passed(self) -> bool:
        """Whether the exported file may have its name."""
        return not self.failures()

    def _ap_fails(self) -> bool:
        # On few objects one tie is worth more than the limit; distances decide there.
        return self.accuracy is not None and self.accuracy.enough and not self.accuracy.drop <= self.max_ap_drop

    def table(self) -> str:
        """The table and the lines below it."""
        header = ["difference of", "unit", "n", "mean", "p95", "p99", "max", "limit", ""]
        lines = [f"{self.exported} against its checkpoint, on {self.pictures}:",
                 table([row.cells() for row in self.rows], header)]
        if self.accuracy:
            lines.append(self._ap_line(self.accuracy))
        lines += self.notes
        lines += [f"FAILS: {line}" for line in self.failures()]
        return "\n".join(lines)

    def _ap_line(self, found: Accuracy) -> str:
        verdict = f"; it may drop by {self.max_ap_drop:g}" if found.enough else "; too few to judge by"
        change = round(-found.drop, 4) + 0.0  # of -0.0, 0.0
        return (f"{found.metric} {found.reference:.4f} -> {found.exported:.4f} ({change:+.4f}) on "
                f"{found.labelled} labelled objects{verdict}")

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        found = self.accuracy
        return {
            "exported": self.exported, "pictures": self.pictures, "passed": self.passed, "failures": self.failures(),
            "notes": self.notes,
            "differences": [{"what": row.what, "unit": row.unit, **row.spread.to_dict(),
                             "judged": row.statistic or None,
                             "limit": None if math.isinf(row.limit) else row.limit, "passed": row.passed}
                            for row in self.rows],
            "ap": found and {"metric": found.metric, "reference": found.reference, "exported": found.exported,
                             "labelled": found.labelled, "max_drop": self.max_ap_drop}}

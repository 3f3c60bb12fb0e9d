"""Everything that goes wrong with downloads, each fault set up for real: the rows of the table in docs/downloads.md."""
import failure_files  # noqa: F401  puts its cases into the list
import failure_servers  # noqa: F401
from failure_registry import CASES, GROUPS, Case

__all__ = ["CASES", "GROUPS", "Case"]

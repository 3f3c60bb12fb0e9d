"""What a person sees on a terminal: progress bars, tables, one-line errors and exit codes.

Every script ends in ``sys.exit(run(main))``; nothing else in the project calls ``sys.exit``.
"""
from pose_tools.console.errors import Fault, FaultsError, UserError, run
from pose_tools.console.terminal import key_value, progress, table

__all__ = ["Fault", "FaultsError", "UserError", "key_value", "progress", "run", "table"]

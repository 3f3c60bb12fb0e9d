"""Pictures of what commands show on a terminal: they are run, and what stands there is drawn."""
from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

COLUMNS = 104
FONT_PX, LINE_PX, MARGIN_PX = 15, 22, 16
BACKGROUND, TEXT, PROMPT = (30, 30, 30), (222, 222, 222), (120, 200, 120)
PERCENT = re.compile(r"(\d+)%\|")


class Terminal:
    """A terminal with one command running on it."""

    def __init__(self, command: Sequence[str]) -> None:
        """Starts the command in the current folder.

        Args:
            command: Program and arguments.
        """
        import fcntl  # with the next two, not there on Windows, where the other pictures can be made
        import pty
        import termios

        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        self._process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there, start_new_session=True,
                                         env={**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)})
        os.close(there)
        self._lines, self._column = [""], 0

    def until_percent(self, percent: int) -> list[str]:
        """Waits until a progress bar is so far; gives the lines that stand on the terminal then."""
        while self._read():
            found = PERCENT.search(self._lines[-1])
            if found and int(found[1]) >= percent:
                return list(self._lines)
        raise SystemExit(f"it ended before {percent}%: {self._lines}")

    def interrupt(self) -> None:
        """Presses Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def until_end(self) -> list[str]:
        """Waits for the end; gives the lines that stand on the terminal then."""
        while self._read():
            pass
        self._process.wait()
        return [line for line in self._lines if line.strip()]

    def _read(self) -> bool:
        try:
            text = os.read(self._here, 4096).decode("utf-8", "replace")
        except OSError:  # Linux, when the other side is closed
            return False
        for part in re.findall(r"\r|\n|[^\r\n]+", text):
            self._take(part)
        return bool(text)

    def _take(self, part: str) -> None:
        if part == "\n":
            self._lines.append("")
        elif part != "\r":
            line = self._lines[-1].ljust(self._column)
            self._lines[-1] = line[:self._column] + part + line[self._column + len(part):]
            self._column += len(part)
            return
        self._column = 0


def draw_terminal(lines: Sequence[str], columns: int = COLUMNS) -> np.ndarray:
    """Draws lines as a terminal shows them.

    Args:
        lines: Those that begin with ``$`` are what was typed.
        columns: How wide it is; longer lines go on below.

    Returns:
        BGR picture, uint8.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"
    font = ImageFont.truetype(str(path), FONT_PX)
    width = round(font.getlength("M" * columns)) + 2 * MARGIN_PX
    rows = [(line[start:start + columns], line.startswith("$"))
            for line in lines for start in range(0, max(len(line.rstrip()), 1), columns)]
    picture = Image.new("RGB", (width, len(rows) * LINE_PX + 2 * MARGIN_PX), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for number, (row, is_typed) in enumerate(rows):
        pen.text((MARGIN_PX, MARGIN_PX + number * LINE_PX), row.rstrip(), font=font, fill=PROMPT if is_typed else TEXT)
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def typed(root: Path, command: str, columns: int) -> np.ndarray:
    """A command in the current folder, with all that it prints.

    Args:
        root: Of the project.
        command: Such as ``python tools/export.py MODEL``; it may fail.
        columns: How wide the terminal is.
    """
    _, script, *words = command.split()
    answer = subprocess.run([sys.executable, str(root / script), *words], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    return draw_terminal([f"$ {command}", *answer.stdout.rstrip().split("\n")], columns)


def interrupted_download(root: Path, server_folder: Path) -> np.ndarray:
    """A download in the current folder that is interrupted and goes on, and the check of what came.

    Args:
        root: Of the project.
        server_folder: A folder of models with their catalog; a slow server gives its files.
    """
    sys.path.insert(0, str(root / "tests/weights"))
    from download_server import BadServer

    typed = "python tools/download_weights.py valve-det valve-pose --catalog colleague.yaml --dest models"
    check = typed.replace("weights.py ", "weights.py --check ")
    with BadServer() as server:
        for file in server_folder.glob("*.pth"):
            server.put(f"/{file.name}", file.read_bytes(), bytes_per_second=4_000_000)
        catalog = (server_folder / "catalog.yaml").read_text(encoding="utf-8").replace("[.]", f"['{server.url}']")
        Path("colleague.yaml").write_text(catalog, encoding="utf-8")

        def start(line: str) -> Terminal:
            _, script, *words = line.split()
            return Terminal([sys.executable, str(root / script), *words])

        first = start(typed)
        lines = [f"$ {typed}", *first.until_percent(57)]
        first.interrupt()
        lines += [*first.until_end()[-2:], f"$ {typed}"]
        second = start(typed)
        lines += [*second.until_percent(84), *second.until_end(), f"$ {check}", *start(check).until_end()]
    return draw_terminal([line for line in lines if line.strip()])

"""The ``git`` command on a bare repository of ours.

Nothing is ever checked out: a path in a tree is a name to look up, never a place to write to, and no hook,
filter or submodule comes into play.
"""
from __future__ import annotations

import contextlib
import functools
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Optional

from pose_tools.weights.download import git_guard
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.git_settings import (
    environment,
    our_settings,
    users_settings,
    write_server_settings,
)
from pose_tools.weights.download.limits import Limits

OLDEST = (2, 32)  # the first to read GIT_CONFIG_GLOBAL, without which all of the user's settings would count
TICK_SECONDS = 0.5
_TAIL_BYTES = 1 << 14
_PROGRESS = re.compile(r"\d+% \(\d+/\d+\)|: \d+, done\.")


class GitFailed(Exception):
    """A git command ended with an error; its text is what git wrote, without progress."""


@functools.cache
def git_program() -> str:
    """Finds the git command.

    Raises:
        SourceFailed: There is none, or it is too old.
    """
    program = shutil.which("git")
    if program is None:
        raise SourceFailed("the git command is not installed; install git, or have the file from elsewhere")
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < OLDEST:
        raise SourceFailed(f"{said.strip() or program} is too old; {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    return program


class BareRepository:
    """A bare repository in a folder of ours, with one remote called ``origin``."""

    def __init__(self, folder: Path, address: str, protocols: str, redirects: bool, limits: Limits) -> None:
        """Makes it where there is none.

        Args:
            folder: Where; its parent is there.
            address: The repository that is fetched from.
            protocols: What git may speak, as ``GIT_ALLOW_PROTOCOL`` has it.
            redirects: Whether the server may send git to another address.
            limits: How long a server may be silent.

        Raises:
            GitFailed: It cannot be made.
            SourceFailed: There is no git.
        """
        folder = folder.absolute()  # the server of a path reads our settings from its own folder
        self.folder, self._protocols, self._limits = folder, protocols, limits
        of_server = folder / "of-server"
        self._environment = environment([], of_server, limits)
        self.ask("init", "--quiet", "--bare", "--template=", str(folder))
        settings = users_settings(git_program(), folder)
        write_server_settings(settings, of_server)
        self._environment = environment([*settings, *our_settings(address, redirects)], of_server, limits)

    def ask(self, *arguments: str) -> bytes:
        """Runs a command that stays on this machine.

        Returns:
            What it printed.

        Raises:
            GitFailed: It ended with an error.
        """
        answer = subprocess.run(self._command(*arguments), check=False, stdin=subprocess.DEVNULL,
                                capture_output=True, env=self._on_this_machine())
        if answer.returncode:
            raise GitFailed(answer.stderr.decode("utf-8", "replace"))
        return answer.stdout

    @contextlib.contextmanager
    def reading(self, blob: str) -> Iterator[BinaryIO]:
        """Opens a file's content; to stop before its end is all right.

        Args:
            blob: Its object name.
        """
        process = subprocess.Popen(self._command("cat-file", "blob", blob), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._on_this_machine())
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.stdout.close()
            process.kill()
            process.wait()

    def fetch(self, *arguments: str, on_received: Callable[[int], None]) -> None:
        """Runs ``git fetch``.

        Args:
            arguments: Its options, then ``--``, ``origin`` and what to fetch.
            on_received: Called at least once a second with the bytes that have come; what it raises ends git.

        Raises:
            GitFailed: It ended with an error, or was silent for too long.
        """
        command = self._command("-c", f"http.lowSpeedTime={self._limits.slow_seconds:.0f}",
                                "-c", f"http.lowSpeedLimit={self._limits.slow_bytes_per_second:.0f}",
                                "fetch", "--progress", "--no-tags", "--no-write-fetch-head", *arguments)
        for path in self._unfinished():  # of an attempt that was ended
            with contextlib.suppress(OSError):
                path.unlink()
        # A session of its own: no terminal to ask on, and one group to end with all helpers in it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True,
                                   env={**self._environment, "GIT_ALLOW_PROTOCOL": self._protocols})
        with _guarded(process):
            said = self._follow(process, on_received)
            if process.wait():
                raise GitFailed(said)

    def _follow(self, process: subprocess.Popen[bytes], on_received: Callable[[int], None]) -> str:
        """Follows a fetch to its end and gives what it wrote, without progress."""
        blocks: queue.SimpleQueue[Optional[bytes]] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(process.stderr, blocks), daemon=True).start()
        text, received, heard = b"", 0, time.monotonic()
        while True:
            try:
                block = blocks.get(timeout=TICK_SECONDS)
            except queue.Empty:
                # ssh may leave a process that holds the pipe (ControlPersist), when git has long ended.
                block = None if process.poll() is not None else b""
            if block is None:
                break
            text, before = (text + block)[-_TAIL_BYTES:], received
            received = max(received, self._received())
            if block or received > before:
                heard = time.monotonic()
            elif time.monotonic() - heard > self._patience(bool(text)):
                raise GitFailed("fatal: timed out without a word")
            on_received(received)
        lines = re.split(r"[\r\n]+", text.decode("utf-8", "replace"))
        return "\n".join(line for line in lines if not _PROGRESS.search(line))

    def _patience(self, has_answered: bool) -> float:
        # git cannot be told how long to wait for a connection, and says nothing before the server does.
        limits = self._limits
        return limits.silence_seconds if has_answered else min(limits.silence_seconds, 3 * limits.connect_seconds)

    def _received(self) -> int:
        """Counts the bytes that have come.

        git's own progress counts objects, and a model file is one: of its first object it says nothing.
        """
        size = 0
        for path in self._unfinished():
            with contextlib.suppress(OSError):
                size += path.stat().st_size
        return size

    def _unfinished(self) -> Iterator[Path]:
        return self.folder.glob("objects/pack/tmp_pack_*")

    def _command(self, *arguments: str) -> list[str]:
        return [git_program(), f"--git-dir={self.folder}", *arguments]

    def _on_this_machine(self) -> dict[str, str]:
        # What a partial clone lacks git would fetch by itself, without saying so and without an end.
        return {**self._environment, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def _pump(stream: BinaryIO, blocks: queue.SimpleQueue[Optional[bytes]]) -> None:
    with stream:
        while block := stream.read1(4096):  # type: ignore[attr-defined]
            blocks.put(block)
    blocks.put(None)


@contextlib.contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Sees to it that git, and the helpers it has started, end with this block or with this process."""
    guard = None
    try:
        guard = subprocess.Popen([sys.executable, "-I", "-S", git_guard.__file__, str(process.pid)],
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
        yield
    finally:
        if process.poll() is None:
            git_guard.end_group(process.pid)
            process.wait()
        if guard is not None:
            guard.kill()
            guard.communicate()

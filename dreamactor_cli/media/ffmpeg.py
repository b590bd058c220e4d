"""The FFmpeg program: where it is, what it can encode, and running it without ever hanging on it.

Commands are composed with ffmpeg-python and run here, as a list of arguments, in a session of their own: a Ctrl-C in the
terminal reaches us and not the child, and we decide what becomes of it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from dreamactor_cli.errors import DiskFull, DreamActorError, JobFailed, MissingRequirement

_GLOBAL = ("-hide_banner", "-loglevel", "error", "-y", "-filter_threads", "1", "-filter_complex_threads", "1")
_INSTALL = "install FFmpeg with your package manager, or run: pip install imageio-ffmpeg"


@cache
def candidates() -> tuple[str, ...]:
    """FFmpeg programs in order of preference: the one on PATH, then the one that imageio-ffmpeg carries."""
    found = [shutil.which("ffmpeg")]
    try:
        import imageio_ffmpeg

        found.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError):
        pass
    return tuple(dict.fromkeys(name for name in found if name))


@cache
def encoders_of(program: str) -> frozenset[str]:
    """Names of the encoders that a program was built with."""
    try:
        listing = subprocess.run(
            [program, "-hide_banner", "-encoders"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    rows = (line.split() for line in listing.stdout.splitlines())
    return frozenset(row[1] for row in rows if len(row) > 1 and len(row[0]) == 6 and row[0][0] in "VA")


def program_for(*encoders: str) -> str:
    """The first FFmpeg program that has all these encoders.

    Raises:
        MissingRequirement: there is no FFmpeg, or none with the encoders.
    """
    programs = candidates()
    if not programs:
        raise MissingRequirement("no FFmpeg was found", _INSTALL)
    for program in programs:
        if not encoders or set(encoders) <= encoders_of(program):
            return program
    lacking = ", ".join(sorted(set(encoders) - encoders_of(programs[-1]))) or ", ".join(encoders)
    raise MissingRequirement(f"FFmpeg lacks the encoder {lacking}", f"{_INSTALL}; or choose another output format")


def failure(path: Path, text: str) -> DreamActorError:
    """The error for an FFmpeg that failed to write ``path``, from what it said on stderr."""
    if "No space left on device" in text or "File too large" in text or "Disk quota exceeded" in text:
        return DiskFull(f"no room left to write {path}", "free some space, or write to another disk")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = lines[-1] if lines else "it died without a word"
    return JobFailed(f"FFmpeg could not write {path}: {said}", "try another output format or folder")


class Encoder:
    """A running FFmpeg that takes raw frames on its standard input.

    Its stderr goes to an unnamed file, so that no pipe can fill up and block both sides.

    Args:
        program: from `program_for`.
        stream: an ffmpeg-python output.
        path: what the user calls the file; only for messages.
    """

    def __init__(self, program: str, stream: Any, path: Path) -> None:
        self._path = path
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                _arguments(program, stream),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise MissingRequirement(f"FFmpeg ({program}) cannot be run: {error.strerror}", _INSTALL) from error
        _widen(self._process.stdin)

    def write(self, data: memoryview | bytes) -> None:
        """Hand over the bytes of a frame; blocks while FFmpeg is busy."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except OSError as error:  # it closed its end: it is dead or dying, and its stderr says why
            self._process.wait()
            raise self._failure() from error

    def finish(self) -> None:
        """Wait until the file is complete."""
        assert self._process.stdin is not None
        with suppress(OSError):  # the exit status below tells
            self._process.stdin.close()
        if self._process.wait() != 0:
            raise self._failure()
        self._log.close()

    def kill(self) -> None:
        """End the child now and reap it; harmless if it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdin is not None:
            with suppress(OSError):  # what was buffered has nobody to go to
                self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _failure(self) -> DreamActorError:
        self._log.seek(0)
        text = self._log.read()[-20_000:].decode("utf-8", "replace")
        return failure(self._path, text)


def run(program: str, stream: Any, path: Path) -> None:
    """Run an FFmpeg that reads and writes files; killed if we are interrupted.

    Raises:
        DiskFull, JobFailed: it failed.
    """
    with tempfile.TemporaryFile() as log:
        try:
            done = subprocess.run(
                _arguments(program, stream),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingRequirement(f"FFmpeg ({program}) cannot be run: {error.strerror}", _INSTALL) from error
        if done.returncode != 0:
            log.seek(0)
            raise failure(path, log.read()[-20_000:].decode("utf-8", "replace"))


def _widen(pipe: IO[bytes] | None) -> None:
    """A frame in one go instead of a dozen turns of the scheduler, where the system allows it."""
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)  # type: ignore[arg-type]
    except (ImportError, AttributeError, OSError):
        pass  # not Linux, or above the limit of this user


def _arguments(program: str, stream: Any) -> list[str]:
    return [str(part) for part in stream.compile(cmd=[program, *_GLOBAL])]

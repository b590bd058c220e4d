"""The errors of dreamactor, each with its exit code.

::

    DreamActorError               1   a job failed
    +-- UsageError                2   an option, or a combination of options, cannot be used
    |   +-- ManifestError         2   a manifest row cannot be used
    +-- MissingRequirement        3   weights, device, program or package are not there
    +-- InputRefused              4   the input is unusable; trying again is useless
    |   +-- UnreadableInput       4   not found, empty, truncated, or not what its name says
    |   +-- UnsafeInput           4   larger than the limits, or a path outside its folder
    |   +-- NoPersonFound         4   nobody to animate, or nobody to follow
    |   +-- NoStream              4   the video or audio stream that is needed is not in the file
    |   +-- Tampered              4   the file is not what its provenance says
    +-- ResourceExhausted         5   retry with more, or ask for less
    |   +-- OutOfMemory           5
    |   +-- DiskFull              5
    +-- JobFailed                 1   the work itself went wrong
    |   +-- WorkerLost            1   a worker process died (retryable)
    |   +-- JobTimeout            1   a worker hung past its time (retryable)
    |   +-- QualityMissed         1   an output is there, but a gate of --qc fail found it wanting
    +-- NoProvenance              1   nothing says where a file comes from
    +-- Stopped         130/143/140   SIGINT, SIGTERM or SIGUSR2

Every error says what was wrong with which file (``message``) and what to do next (``hint``). The last line that a user
sees is ``dreamactor: error[CODE]: message, hint``.
"""

from __future__ import annotations


class DreamActorError(Exception):
    """Base of all errors that a user may see.

    Args:
        message: what was wrong, with the name of the file or option.
        hint: what to do about it, in the imperative.
    """

    code = "failed"
    exit_code = 1
    retryable = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.hint)

    def line(self) -> str:
        """The one line that ends a failed run."""
        return f"dreamactor: error[{self.code}]: {self}"


class UsageError(DreamActorError):
    """An option, or a combination of options, cannot be used."""

    code = "usage"
    exit_code = 2


class ManifestError(UsageError):
    """Rows of a manifest cannot be used.

    Args:
        problems: all that is wrong with it, like ``"line 3, column fps: 'x' is not a frame rate; ..."``.
    """

    code = "manifest"

    def __init__(self, message: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.problems = problems

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.hint, self.problems)


class MissingRequirement(DreamActorError):
    """Weights, a device, a program or a package are not there."""

    code = "missing"
    exit_code = 3


class InputRefused(DreamActorError):
    """The input is unusable; trying again is useless."""

    code = "input"
    exit_code = 4


class UnreadableInput(InputRefused):
    """Not found, empty, truncated, or not what its name says."""

    code = "unreadable"


class UnsafeInput(InputRefused):
    """Larger than the limits, or a path that leaves its folder."""

    code = "unsafe"


class NoPersonFound(InputRefused):
    """Nobody to animate in the picture, or nobody to follow in the clip."""

    code = "no-person"


class NoStream(InputRefused):
    """The file lacks the video or audio stream that is needed."""

    code = "no-stream"


class Tampered(InputRefused):
    """A file is not what its sidecar, its container or its signature says."""

    code = "tampered"


class ResourceExhausted(DreamActorError):
    """Retry with more, or ask for less."""

    code = "resources"
    exit_code = 5
    retryable = True


class OutOfMemory(ResourceExhausted):
    """Memory ran out."""

    code = "memory"


class DiskFull(ResourceExhausted):
    """The disk ran full."""

    code = "disk"


class JobFailed(DreamActorError):
    """The work itself went wrong."""


class WorkerLost(JobFailed):
    """A worker process died."""

    code = "worker-lost"
    retryable = True


class JobTimeout(JobFailed):
    """A worker hung past its time."""

    code = "timeout"
    retryable = True


class NoProvenance(DreamActorError):
    """Nothing says where a file comes from."""

    code = "no-provenance"


class QualityMissed(JobFailed):
    """An output is there, but a gate found it wanting."""

    code = "quality"


class Stopped(DreamActorError):
    """Stopped by SIGINT (130), SIGTERM (143) or SIGUSR2 (140), by which farms warn.

    Args:
        exit_code: 128 plus the number of the signal.
    """

    code = "stopped"

    def __init__(self, exit_code: int) -> None:
        super().__init__("stopped by a signal", "run the same command again to go on")
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.exit_code,)

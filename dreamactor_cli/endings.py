"""How a run that failed ends: any exception as an error of ours, with code, exit code and what to do."""

from __future__ import annotations

import errno

import typer

from dreamactor_cli.errors import (
    DiskFull,
    DreamActorError,
    JobFailed,
    MissingRequirement,
    OutOfMemory,
    Stopped,
    UsageError,
)

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class InternalError(DreamActorError):
    """A mistake of dreamactor itself."""

    code = "internal"


def ending_of(error: BaseException) -> DreamActorError:
    """The error that the user sees for an exception that ended a run."""
    match error:
        case DreamActorError():
            return error
        case KeyboardInterrupt() | typer.Abort():
            return Stopped(130)
        case typer.TyperException():
            return _usage(error)
        case MemoryError():
            return OutOfMemory("memory ran out", "ask for a smaller --size, a shorter --duration or fewer --workers")
        case OSError():
            return _system(error)
        case ImportError() if not (error.name or "").startswith("dreamactor_cli"):
            return MissingRequirement(f"a package cannot be loaded: {error}", "`dreamactor doctor` says how to mend it")
        case _:
            about = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return InternalError(about, "this is a mistake of dreamactor; run again with --debug and report it")


def failure_record(error: DreamActorError) -> dict[str, object]:
    """A failure as what ``--json`` prints; the fields of `contracts.JobError`."""
    about = {"type": type(error).__name__, "code": error.code, "retryable": error.retryable, "message": str(error)}
    return {"status": "failed", "error": {**about, "exit_code": error.exit_code}}


def _usage(error: typer.TyperException) -> UsageError:
    text = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dreamactor"
    hint = "" if text.endswith("?") else f"`{command} --help` shows what can be given"
    return UsageError(text[:1].lower() + text[1:], hint)


def _system(error: OSError) -> DreamActorError:
    name = error.filename if isinstance(error.filename, str) else ""
    if error.errno in NO_SPACE:
        where = f" at {name}" if name else ""
        return DiskFull(f"the disk is full{where}", "free some space, or name another disk with -o or --cache-dir")
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        return OutOfMemory(f"the system has nothing left: {error.strerror}", "ask for fewer --workers")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return JobFailed(f"{name or 'a file'} cannot be used: {error.strerror}", "mend its permissions or name another place")
    if name:
        return JobFailed(f"{name}: {error.strerror}", "check the path and run again")
    return InternalError(f"{type(error).__name__}: {error}", "run again with --debug and report it")

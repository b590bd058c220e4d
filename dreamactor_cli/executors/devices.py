"""Which CUDA devices ``--devices`` names, found out without loading torch."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.executors.shard import find_device

NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")


def find_devices(text: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Devices as ``CUDA_VISIBLE_DEVICES`` spells them, one a worker; empty is the CPU.

    Args:
        text: ``"0,1"``, counted within ``CUDA_VISIBLE_DEVICES`` if that is set; ``"auto"``: the device of this process's rank
            under torchrun or Slurm, else all that are seen; ``"cpu"``, or None.
        environ: of the process.

    Raises:
        UsageError: it is not a list of devices.
        MissingRequirement: a device is not there.
    """
    if text is None or text == "cpu":
        return ()
    seen = _seen(environ)
    if not seen:
        raise MissingRequirement(f"--devices {text}: no CUDA device is seen here", "leave --devices out to render on the CPU")
    if text == "auto":
        own = find_device(environ)
        return seen if own is None else (seen[own % len(seen)],)
    names = [name.strip() for name in text.split(",")]
    if len(set(names)) < len(names):
        raise UsageError(f"--devices {text} names a device twice", "give each once: one worker has a device for itself")
    return tuple(_one(name, seen, text) for name in names)


def _one(name: str, seen: tuple[str, ...], text: str) -> str:
    if name in seen and not name.isdecimal():
        return name  # a UUID
    if not (name.isascii() and name.isdecimal()):
        raise UsageError(f"--devices {text[:60]} is not a list of devices", "give numbers like 0,1, or auto")
    if int(name) >= len(seen):
        raise MissingRequirement(f"--devices {text}: there is no device {name}", f"{len(seen)} are seen, counted from 0")
    return seen[int(name)]


def _seen(environ: Mapping[str, str]) -> tuple[str, ...]:
    if "CUDA_VISIBLE_DEVICES" in environ:
        return tuple(name.strip() for name in environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip() not in ("", "-1"))
    try:
        listed = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip().isdecimal())

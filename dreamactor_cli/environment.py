"""What this machine offers: Python, packages, FFmpeg, cores, memory, disk, GPU, cache."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

State = Literal["ok", "note", "missing"]

# Distribution, module to load, needed by the geometry renderer.
NEEDED = (
    ("numpy", "numpy"), ("opencv-python-headless", "cv2"), ("mediapipe", "mediapipe"), ("numba", "numba"),
    ("scipy", "scipy"), ("scikit-image", "skimage"), ("pillow", "PIL"), ("av", "av"),
    ("ffmpeg-python", "ffmpeg"), ("imageio-ffmpeg", "imageio_ffmpeg"), ("safetensors", "safetensors"), ("typer", "typer"),
    ("rich", "rich"), ("pydantic", "pydantic"), ("platformdirs", "platformdirs"), ("threadpoolctl", "threadpoolctl"),
    ("pebble", "pebble"), ("filelock", "filelock"), ("psutil", "psutil"),
)  # fmt: skip
LATER = ("torch", "diffusers", "transformers", "accelerate", "librosa", "openai-whisper", "ray")
ENCODERS = {"libx264": ".mp4", "libvpx-vp9": ".webm", "prores_ks": ".mov", "aac": "sound of .mp4", "libopus": "sound of .webm"}
INSTALL = "pip install --no-deps -r requirements.lock"
# mediapipe asks for the GUI build of OpenCV, which takes the place of the headless one when pip resolves.
HEADLESS = "pip install --force-reinstall --no-deps opencv-python-headless==4.11.0.86"
LITTLE_DISK = 2 << 30
LITTLE_MEMORY = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        state: ``"ok"``; ``"note"``, good to know; ``"missing"``, nothing can be rendered without it.
        mend: the command or the step that mends it.
    """

    name: str
    state: State
    detail: str
    mend: str = ""


def examine(cache_dir: Path | None = None) -> list[Finding]:
    """Look at everything, the needed first."""
    packages = [_package(distribution, module) for distribution, module in NEEDED]
    later = [_later(distribution) for distribution in LATER]
    machine = [_cores(), _memory(), *_cache(cache_dir), _gpu(), _models()]
    return [_python(), *packages, _ffmpeg(), *machine, *later]


def _python() -> Finding:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Finding(
        name="python", state="ok" if fits else "missing", detail=f"{platform.python_version()}, {sys.executable}",
        mend="install Python 3.11 or 3.12 and run `make install` again",
    )  # fmt: skip


def _package(distribution: str, module: str) -> Finding:
    """A package that must load; a wheel of the GUI OpenCV without libGL is there and does not."""
    try:
        import_module(module)
        found = version(distribution)
    except PackageNotFoundError:
        return Finding(name=distribution, state="ok", detail="there, in another distribution than the locked one")
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(name=distribution, state="missing", detail=reason, mend=HEADLESS if "libGL" in reason else INSTALL)
    if distribution == "numpy" and not found.startswith("1."):
        return Finding(name="numpy", state="missing", detail=f"{found}: mediapipe needs numpy below 2", mend=INSTALL)
    return Finding(name=distribution, state="ok", detail=found)


def _later(distribution: str) -> Finding:
    try:
        return Finding(name=distribution, state="ok", detail=f"{version(distribution)} (not needed by the geometry renderer)")
    except PackageNotFoundError:
        extra = "speech" if distribution in ("torch", "librosa", "openai-whisper", "ray") else "diffusion"
        mend = f"in the checkout: pip install '.[{extra}]'"
        if distribution == "torch":
            return Finding(name=distribution, state="note", detail="not there; lipsync needs it, animate does not", mend=mend)
        return Finding(name=distribution, state="note", detail="not there; the geometry renderer does not need it", mend=mend)


def _ffmpeg() -> Finding:
    """The FFmpeg on PATH, else the one of the imageio-ffmpeg wheel, and which forms of output it can write."""
    mend = "apt-get install ffmpeg, or pip install imageio-ffmpeg"
    program = shutil.which("ffmpeg")
    try:
        if program is None:
            from imageio_ffmpeg import get_ffmpeg_exe

            program = str(get_ffmpeg_exe())
        head = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
        listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=30, check=True)
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        return Finding(name="ffmpeg", state="missing", detail=f"no FFmpeg that runs: {error}", mend=mend)
    encoders = set(re.findall(r"^ [VAS][\w.]{5} (\S+)", listed.stdout, re.MULTILINE))
    lacking = [f"{name} ({use})" for name, use in ENCODERS.items() if name not in encoders]
    detail = f"{head.stdout.split(' Copyright')[0].strip()}, {program}"
    if "libx264" not in encoders:
        return Finding(name="ffmpeg", state="missing", detail=f"{detail}; without the encoder libx264", mend=mend)
    if lacking:
        return Finding(name="ffmpeg", state="note", detail=f"{detail}; without {', '.join(lacking)}", mend=mend)
    return Finding(name="ffmpeg", state="ok", detail=f"{detail}; {', '.join(ENCODERS)}")


def _cores() -> Finding:
    return Finding(name="cores", state="ok", detail=str(len(os.sched_getaffinity(0))))


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    state: State = "ok" if total >= LITTLE_MEMORY else "note"
    return Finding(name="memory", state=state, detail=f"{total / 2**30:.1f} GiB", mend="ask for small sizes and one --workers")


def _cache(cache_dir: Path | None) -> list[Finding]:
    """Whether the cache can be written, and what room it has."""
    from dreamactor_cli.cache import Cache

    mend = "name a folder of yours with --cache-dir or DREAMACTOR_CACHE"
    folder = cache_dir
    try:
        folder = Cache(cache_dir).root
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return [Finding(name="cache", state="missing", detail=f"{folder} cannot be written: {error.strerror}", mend=mend)]
    state: State = "ok" if free >= LITTLE_DISK else "note"
    room = f"{free / 2**30:.1f} GiB free at the cache"
    return [
        Finding(name="cache", state="ok", detail=str(folder)),
        Finding(name="disk", state=state, detail=room, mend="dreamactor cache gc --max-size 1GB"),
    ]


def _gpu() -> Finding:
    """What torch sees; the geometry renderer runs on the CPU."""
    try:
        import torch
    except (ImportError, OSError):
        return Finding(name="gpu", state="note", detail="unknown without torch; the geometry renderer runs on the CPU")
    if not torch.cuda.is_available():
        return Finding(name="gpu", state="note", detail="none; the geometry renderer runs on the CPU")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding(name="gpu", state="ok", detail=", ".join(names))


def _models() -> Finding:
    """Which public weights are here."""
    from dreamactor_cli.model_store.known import CHECKSUMS, KNOWN, folder_of, models_dir

    here = [name for name, model in KNOWN.items() if model.repo and (folder_of(name) / CHECKSUMS).is_file()]
    if here:
        return Finding(name="models", state="ok", detail=f"{', '.join(here)}, at {models_dir()}")
    mend = "`dreamactor models list` says which there are"
    return Finding(name="models", state="note", detail="none; the geometry renderer needs none", mend=mend)

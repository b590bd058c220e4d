"""What each process of a first run would otherwise compile for itself, and all at once: bytecode and kernels.

Started by `conftest` before the processes of the tests, in a fresh checkout or environment: ``python -m tests.warm_up
bytecode`` and ``... kernels``, one core each.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LATE = ("diffusers.pipelines.wan.pipeline_wan_animate", "dreamactor_cli.training.diffusion.start")  # imported within tests


def warm_up() -> None:
    """Compile what is not compiled yet, in two processes; what cannot be is left to the tests to tell."""
    cold = [name for name, is_cold in (("bytecode", _bytecode_is_missing()), ("kernels", _kernels_are_missing())) if is_cold]
    if cold:
        print(f"Compiling {' and '.join(cold)} once for all processes", flush=True)
    started = [subprocess.Popen([sys.executable, "-m", "tests.warm_up", name], cwd=ROOT) for name in cold]
    for process in started:
        process.wait()


def _bytecode_is_missing() -> bool:
    """Of the largest library, or of the tests, whose asserts pytest rewrites."""
    if sys.dont_write_bytecode:
        return False
    torch = importlib.util.find_spec("torch")
    largest = torch is None or Path(importlib.util.cache_from_source(str(torch.origin))).exists()
    return not largest or not any((ROOT / "tests" / "models" / "__pycache__").glob("test_*.pyc"))


def _kernels_are_missing() -> bool:
    """Whether numba has kept nothing for one of the files with kernels, or something older than the file."""
    for path in (ROOT / "dreamactor_cli").rglob("*.py"):
        if "njit(cache=True" in path.read_text("utf-8"):
            kept = [index.stat().st_mtime for index in (path.parent / "__pycache__").glob(f"{path.stem}.*.nbi")]
            if max(kept, default=0.0) < path.stat().st_mtime:
                return True
    return False


def _bytecode() -> None:
    """The tests are collected, as each process does it, which imports what they import."""
    import pytest

    for name in LATE:
        with suppress(ImportError):
            importlib.import_module(name)
    with redirect_stdout(StringIO()):
        pytest.main(["--collect-only", "-qq", "-n", "0", "-p", "no:cacheprovider", str(ROOT / "tests")])


def _kernels() -> None:
    """A portrait that talks, a figure that raises its arms, and a person that is drawn: they need nearly all kernels."""
    import cv2
    from skimage import data

    from dreamactor_cli.api import animate
    from dreamactor_cli.renderers.geometry.body import BodyActor
    from dreamactor_cli.training.synthetic import generate_clip
    from tests.renderers.geometry.figures import figure

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cv2.imwrite(str(folder / "picture.png"), data.astronaut()[..., ::-1])
        options = {"duration": 0.2, "background": "#00ff00", "cache_dir": folder / "cache", "workers": 1}
        animate(folder / "picture.png", "motion:talk", folder / "out.mp4", **options)
    standing = figure()
    moved = {13: (190.0, 90.0), 15: (206.0, 60.0), 14: (50.0, 90.0), 16: (34.0, 60.0)}  # the arms, px
    BodyActor(standing.reference).draw(standing.posed(moved), 0, True)
    generate_clip(1, size=32, frames=1)


if __name__ == "__main__":
    {"bytecode": _bytecode, "kernels": _kernels}[sys.argv[1]]()

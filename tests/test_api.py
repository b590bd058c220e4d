"""The Python interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import dreamactor_cli
from dreamactor_cli import animate, extract
from dreamactor_cli.controls_file import StoredControls
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import probe

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

ROOT = Path(dreamactor_cli.__file__).parents[1]


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: NDArray[np.uint8]) -> Path:
    """Head and shoulders of the astronaut, 256x256."""
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), astronaut_rgb[:256, 96:352, ::-1])
    return path


def test_a_clip_is_measured_and_drives_a_picture(
    portrait: Path, face_clip: FaceClip, shared_cache: Cache, tmp_path: Path
) -> None:
    controls = tmp_path / "c.controls.safetensors"
    found = extract(face_clip.path, controls, signals=("face", "head"), cache_dir=shared_cache.root, workers=1)
    assert found.stream.num_frames == face_clip.num_frames
    assert StoredControls.read(controls).num_frames == face_clip.num_frames
    result = animate(str(portrait), controls, tmp_path / "out.mp4", duration=0.2, cache_dir=shared_cache.root, workers=1)
    assert (result.status, result.frames) == ("ok", 5)
    assert probe(tmp_path / "out.mp4").num_frames == 5


def test_options_have_the_names_of_the_command_line(portrait: Path, shared_cache: Cache, tmp_path: Path) -> None:
    result = animate(
        [portrait], "motion:nod", tmp_path / "out.mp4", duration=0.2, fps="50", size="128x96", region="face,head",
        cache_dir=str(shared_cache.root), workers=1, seed=3,
    )  # fmt: skip
    info = probe(result.output)
    assert (result.frames, info.fps, info.width, info.height) == (10, 50, 128, 96)
    again = animate(
        [portrait], "motion:nod", tmp_path / "out.mp4", duration=0.2, fps="50", size="128x96", region="face,head",
        cache_dir=str(shared_cache.root), workers=1, seed=3,
    )  # fmt: skip
    assert again.status == "skipped"


@pytest.mark.parametrize("options", [{"region": "fcae"}, {"preset": "darft"}, {"size": "big"}, {"nonsense": 1}, {"start": -1}])
def test_options_that_cannot_be_used(portrait: Path, shared_cache: Cache, tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        animate(portrait, "motion:nod", tmp_path / "out.mp4", cache_dir=shared_cache.root, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "import sys, dreamactor_cli; print([m for m in ('torch', 'mediapipe', 'numba', 'av', 'decord') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.strip() == "[]"

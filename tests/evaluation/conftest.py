"""Outputs that are good or bad in one way: the face clip itself stands for a render of its own motion."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.contracts import Finding, Job, Preset, RenderResult

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Frames = NDArray[np.uint8]


@pytest.fixture(scope="session")
def face_picture(tmp_path_factory: pytest.TempPathFactory, face_clip: FaceClip) -> Path:
    """The first frame of the face clip as a picture."""
    path = tmp_path_factory.mktemp("reference") / "reference.png"
    cv2.imwrite(str(path), face_clip.frames[0, ..., ::-1])
    return path


@pytest.fixture
def gates(
    tmp_path: Path, face_clip: FaceClip, face_picture: Path, encode_clip: Callable[..., None], shared_cache: Cache
) -> Callable[..., dict[str, Finding]]:
    """``gates(frames, tone=True, asked=38, **job)``: findings by name on an output made of frames."""
    from dreamactor_cli.evaluation.quality import check

    def run(
        frames: Frames, *, tone: bool = True, asked: int = 0, output: Path | None = None, **job: object
    ) -> dict[str, Finding]:
        if output is None:
            output = tmp_path / "output.mp4"
            encode_clip(output, frames, Fraction(face_clip.fps), tone=tone)
        values = {"references": (face_picture,), "driving": str(face_clip.path), "preset": Preset(), **job}
        made = Job(id="job", output=output, **values)  # type: ignore[arg-type]
        result = RenderResult(id="job", status="ok", output=output, frames=asked)
        return {found.gate: found for found in check(made, result, cache=shared_cache)}

    return run

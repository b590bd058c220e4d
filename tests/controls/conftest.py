"""Clips for the extractors, and what was extracted from them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from dreamactor_cli.contracts import Controls
    from dreamactor_cli.controls.extract import Extraction


@pytest.fixture(scope="session")
def face_extraction(face_clip: Any, shared_cache: Cache) -> Extraction:
    """Face and head of the moving astronaut."""
    from dreamactor_cli.controls.extract import extract_controls

    return extract_controls(face_clip.path, signals=["face", "head"], cache=shared_cache, workers=1)


@pytest.fixture(scope="session")
def face_controls(face_extraction: Extraction) -> Controls:
    """All frames of it."""
    return face_extraction.stream.window(0, face_extraction.stream.num_frames)


@pytest.fixture
def make_clip(tmp_path: Path, encode_clip: Callable[..., None]) -> Callable[..., Path]:
    """``make_clip(frames, fps=25, name="clip.mp4")``: a clip of frames (T, H, W, 3)."""

    def make(frames: np.ndarray, fps: int = 25, name: str = "clip.mp4") -> Path:
        path = tmp_path / name
        encode_clip(path, frames, Fraction(fps))
        return path

    return make

"""A few frames of a video, evenly spread and small; streams' lengths and texts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.media import glimpses as module
from dreamactor_cli.media import read_tags
from dreamactor_cli.media.glimpses import evenly, glimpses
from dreamactor_cli.media.lengths import lengths_of


def _ramp(frames: int) -> np.ndarray:
    """Frame k has the brightness 2 k."""
    levels = (2 * np.arange(frames)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (frames, 48, 64, 3)).copy()


def test_frames_are_spread_evenly_from_first_to_last() -> None:
    assert evenly(10, 4) == [0, 3, 6, 9]
    assert evenly(3, 8) == [0, 1, 2]
    assert evenly(9, 1) == [0]
    assert evenly(0, 5) == []


def test_each_glimpse_is_the_frame_that_it_should_be(tmp_path: Path, encode_clip: Callable[..., None]) -> None:
    clip = tmp_path / "clip.mp4"
    encode_clip(clip, _ramp(61), Fraction(25))
    found = glimpses(clip, 4, 24)
    assert [picture.shape for picture in found] == [(24, 32, 3)] * 4
    assert np.abs([picture.mean() for picture in found] - np.array([0, 40, 80, 120])).max() < 3
    assert glimpses(clip, 2, 500)[0].shape == (48, 64, 3)  # never scaled up


def test_far_apart_it_takes_the_keyframe_before(
    tmp_path: Path, encode_clip: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORTH_A_SEEK", 20)
    clip = tmp_path / "clip.mp4"
    encode_clip(clip, _ramp(121), Fraction(25), extra=("-g", "25", "-keyint_min", "25", "-sc_threshold", "0"))
    found = [picture.mean() for picture in glimpses(clip, 4, 24)]
    assert np.abs(found - 2 * np.array([0, 25, 75, 100])).max() < 3


def test_a_turned_video_is_upright(tmp_path: Path, encode_clip: Callable[..., None], ffmpeg_exe: str) -> None:
    flat, turned = tmp_path / "flat.mp4", tmp_path / "turned.mp4"
    encode_clip(flat, _ramp(3), Fraction(25))
    command = [ffmpeg_exe, "-loglevel", "error", "-display_rotation", "90", "-i", str(flat), "-c", "copy", str(turned)]
    subprocess.run(command, check=True)
    assert glimpses(turned, 1, 32)[0].shape == (32, 24, 3)


def test_lengths_are_those_of_the_packets(tmp_path: Path, encode_clip: Callable[..., None], ffmpeg_exe: str) -> None:
    clip, long = tmp_path / "clip.mp4", tmp_path / "long.mp4"
    encode_clip(clip, _ramp(30), Fraction(30000, 1001))
    lengths = lengths_of(clip)
    assert (lengths.pictures, lengths.audio) == (30, None)
    assert lengths.video == pytest.approx(30 * 1001 / 30000, abs=0.001)
    command = [
        ffmpeg_exe,
        "-loglevel",
        "error",
        "-i",
        str(clip),
        "-f",
        "lavfi",
        "-t",
        "3",
        "-i",
        "sine",
        "-c:v",
        "copy",
        str(long),
    ]
    subprocess.run(command, check=True)
    assert lengths_of(long).audio == pytest.approx(3, abs=0.05)
    with pytest.raises(UnreadableInput):
        lengths_of(tmp_path / "none.mp4")


def test_texts_of_files(tmp_path: Path, encode_clip: Callable[..., None]) -> None:
    clip, picture, broken = tmp_path / "clip.mp4", tmp_path / "picture.png", tmp_path / "broken.png"
    encode_clip(clip, _ramp(3), Fraction(25), extra=("-metadata", "comment=ü = 1"))
    assert read_tags(clip)["comment"] == "ü = 1"
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    assert read_tags(picture) == {}
    broken.write_bytes(b"\x89PNG no")
    with pytest.raises(UnreadableInput, match=r"broken\.png"):
        read_tags(broken)

"""Each gate of --qc, on a good output and on one that is bad in the way that the gate looks for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.contracts import Finding, Job, Preset

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Gates = Callable[..., dict[str, Finding]]
Frames = NDArray[np.uint8]

ALL = {
    "frame-count", "av-length", "frozen-frames", "black-frames", "person-lost", "identity-drift", "colour-drift", "seam-jumps",
}  # fmt: skip


def _failed(found: dict[str, Finding]) -> set[str]:
    return {name for name, finding in found.items() if not finding.passed}


def test_a_good_output_passes_every_gate(gates: Gates, face_clip: FaceClip) -> None:
    found = gates(face_clip.frames)
    assert set(found) == ALL
    assert _failed(found) == set()
    assert all(finding.value <= finding.limit and not finding.message for finding in found.values())


def test_frames_that_are_missing(gates: Gates, face_clip: FaceClip) -> None:
    found = gates(face_clip.frames[:-3])
    assert (found["frame-count"].passed, found["frame-count"].value) == (False, 3)
    assert "35 frames and not 38" in found["frame-count"].message
    assert gates(face_clip.frames[:-3], asked=35)["frame-count"].passed  # the result knows better than the driver


def test_sound_that_is_missing_or_too_long(gates: Gates, face_clip: FaceClip, tmp_path: Path, ffmpeg_exe: str) -> None:
    silent = gates(face_clip.frames, tone=False)["av-length"]
    assert not silent.passed
    assert "has none" in silent.message
    long = tmp_path / "long.mp4"
    command = [ffmpeg_exe, "-loglevel", "error", "-i", str(tmp_path / "output.mp4"), "-f", "lavfi", "-t", "2", "-i", "sine"]
    subprocess.run([*command, "-c:v", "copy", str(long)], check=True)
    found = gates(face_clip.frames, output=long)["av-length"]
    assert not found.passed
    assert found.value == pytest.approx(0.48, abs=0.05)
    assert "longer" in found.message
    assert "av-length" not in gates(face_clip.frames, tone=False, driving="motion:nod")  # nobody speaks


def test_a_picture_that_freezes_while_the_driver_moves(gates: Gates, face_clip: FaceClip) -> None:
    frozen = face_clip.frames.copy()
    frozen[10:30] = frozen[10]
    found = gates(frozen)["frozen-frames"]
    assert not found.passed
    assert 0.5 < found.value <= 20 / 25  # the encoder sharpens the still for some frames, which counts as change
    assert "stands still for 0." in found.message


def test_a_still_picture_is_right_where_nothing_is_to_move(
    gates: Gates, face_clip: FaceClip, encode_clip: Callable[..., None], tmp_path: Path
) -> None:
    still = np.repeat(face_clip.frames[:1], 38, axis=0)
    assert not gates(still)["frozen-frames"].passed
    assert "frozen-frames" not in gates(still, preset=Preset(region=("hands",)))
    held = tmp_path / "held.mp4"
    encode_clip(held, still, Fraction(25), tone=True)
    assert gates(still, driving=str(held))["frozen-frames"].passed


def test_black_frames(gates: Gates, face_clip: FaceClip) -> None:
    black = face_clip.frames.copy()
    black[20:22] = 0
    found = gates(black)
    assert (found["black-frames"].passed, found["black-frames"].value) == (False, 2)
    assert "frame 20" in found["black-frames"].message
    assert not found["seam-jumps"].passed


def test_a_person_who_gets_lost(gates: Gates, face_clip: FaceClip) -> None:
    lost = face_clip.frames.copy()
    lost[15:] = cv2.GaussianBlur(lost[0], (0, 0), 40)
    found = gates(lost)["person-lost"]
    assert not found.passed
    assert found.value == pytest.approx(23 / 38, abs=0.1)


def test_a_face_that_is_no_longer_the_references(gates: Gates, face_clip: FaceClip, astronaut_rgb: Frames) -> None:
    spots = np.random.default_rng(3).normal(size=(256, 256)).astype(np.float32)
    spots = cv2.GaussianBlur(spots, (0, 0), 6)
    paint = np.clip(1 + 0.8 * spots / spots.std(), 0.1, 2)[..., None]
    other = np.empty_like(face_clip.frames)
    for t, matrix in enumerate(face_clip.affine):
        moved = cv2.warpAffine(paint, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
        other[t] = np.clip(face_clip.frames[t] * moved[..., None], 0, 255)
    found = gates(other)
    assert not found["identity-drift"].passed
    assert found["person-lost"].passed
    assert "identity-drift" not in gates(face_clip.frames, references=())


def test_identity_bears_motion_and_light(gates: Gates, face_clip: FaceClip) -> None:
    darker = np.clip(face_clip.frames * np.array([0.75, 0.8, 0.9]), 0, 255).astype(np.uint8)
    assert gates(darker)["identity-drift"].passed


def test_colours_that_wander(gates: Gates, face_clip: FaceClip) -> None:
    tint = np.linspace(0, 1, 38)[:, None, None, None] * np.array([25, 0, -25])
    drifting = np.clip(face_clip.frames + tint, 0, 255).astype(np.uint8)
    found = gates(drifting)["colour-drift"]
    assert not found.passed
    assert 5 < found.value < 25
    assert "colour-drift" not in gates(drifting, preset=Preset(background="driving"))


def test_a_jump_between_two_segments(gates: Gates, face_clip: FaceClip) -> None:
    jumping = face_clip.frames.copy()
    jumping[20:] = np.roll(jumping[20:], 14, axis=2)
    found = gates(jumping, preset=Preset(renderer="diffusion", segment_frames=20))["seam-jumps"]
    assert not found.passed
    assert "frame 20 on the border of two segments" in found.message


def test_a_cut_of_the_driver_is_no_jump_of_ours(gates: Gates, face_clip: FaceClip, tmp_path: Path) -> None:
    from dreamactor_cli.evaluation.driver import DriverMotion
    from dreamactor_cli.evaluation.gates import seam_jumps

    change = np.full(40, 1.0, np.float32)
    change[20] = 30
    points = np.zeros((40, 5, 2), np.float32)
    points[20:] = 1
    motion = DriverMotion(points=points, seen=np.ones(40, bool), turn=np.zeros(40, np.float32))
    still = replace(motion, points=np.zeros_like(points))
    said = [seam_jumps(change, driver, None) for driver in (motion, still)]
    assert [finding is not None and finding.passed for finding in said] == [True, False]


def test_a_sequence_of_pictures(gates: Gates, face_clip: FaceClip, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(face_clip.frames, 1):
        cv2.imwrite(str(folder / f"{number:05d}.png"), frame[..., ::-1])
    found = gates(face_clip.frames, output=folder)
    assert set(found) == ALL - {"av-length"}
    assert _failed(found) == set()
    (folder / "00038.png").unlink()
    assert _failed(gates(face_clip.frames, output=folder)) == {"frame-count"}


def test_only_the_result_is_looked_at_where_others_stand_beside_it(gates: Gates, face_clip: FaceClip) -> None:
    panels = [np.zeros_like(face_clip.frames), np.zeros_like(face_clip.frames), face_clip.frames]
    found = gates(np.concatenate(panels, axis=2), side_by_side=True)
    assert _failed(found) == set()
    swapped = gates(np.concatenate(panels[::-1], axis=2), side_by_side=True)
    assert {"black-frames", "person-lost"} <= _failed(swapped)


@pytest.mark.slow
def test_a_real_render_passes(shared_cache: Cache, astronaut: Path, face_clip: FaceClip, tmp_path: Path) -> None:
    from dreamactor_cli.evaluation.quality import check
    from dreamactor_cli.pipeline import run_job

    job = Job(
        id="real",
        references=(astronaut,),
        driving=str(face_clip.path),
        output=tmp_path / "real.mp4",
        preset=Preset(size="256x256"),
    )
    result = run_job(job, cache=shared_cache)
    began = time.perf_counter()
    found = {finding.gate: finding for finding in check(job, result, cache=shared_cache)}
    assert time.perf_counter() - began < 10
    assert set(found) == ALL
    assert _failed(found) == set()


def test_of_a_dubbed_video_only_the_lengths_are_measured(gates: Gates, face_clip: FaceClip) -> None:
    black = face_clip.frames.copy()
    black[20:22] = 0
    found = gates(black, asked=38, driving=None, kind="lipsync", references=(face_clip.path,), audio=face_clip.path)
    assert set(found) == {"frame-count", "av-length"}
    assert _failed(found) == set()
    silent = gates(black, tone=False, asked=38, driving=None, kind="lipsync", references=(face_clip.path,), audio=face_clip.path)
    assert _failed(silent) == {"av-length"}


def test_a_picture_that_speaks_is_measured_without_a_driver(gates: Gates, face_clip: FaceClip) -> None:
    found = gates(face_clip.frames, asked=38, driving=None, kind="lipsync", audio=face_clip.path)
    assert set(found) == ALL - {"frozen-frames"}
    assert _failed(found) == set()

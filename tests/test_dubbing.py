"""A video says something else: length, order, and all but the mouth as it was."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.contracts import Job, Preset
from dreamactor_cli.dubbing import _in_order, is_dub, load_dub
from dreamactor_cli.errors import NoPersonFound, UsageError
from dreamactor_cli.media import probe, read_frames


def job(face_clip, audio: Path | None = None, **changes: object) -> Job:
    made = Job(
        id="dub",
        kind="lipsync",
        references=(face_clip.path,),
        audio=audio or face_clip.path,
        output=Path("o.mp4"),
        preset=Preset(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_video_is_dubbed_and_a_picture_is_not(face_clip, astronaut) -> None:
    assert is_dub(job(face_clip))
    assert not is_dub(replace(job(face_clip), references=(astronaut,)))
    assert not is_dub(replace(job(face_clip), kind="animate"))


def test_all_but_the_mouth_stays_byte_for_byte(face_clip, shared_cache) -> None:
    dub = load_dub(job(face_clip), cache=shared_cache)
    assert dub.num_frames == pytest.approx(face_clip.num_frames, abs=1)
    assert dub.fps == face_clip.fps
    own = read_frames(face_clip.path)
    stream, changed = dub.found.stream, 0
    for index, (frame, before) in enumerate(zip(dub.frames(), own, strict=False)):
        top = int(stream.window(index, index + 1).face.landmarks[0, [145, 374], 1].min())  # the lower lids
        np.testing.assert_array_equal(frame[:top], before[:top])
        changed += bool((frame != before).any())
    assert changed > face_clip.num_frames / 2


def test_a_longer_sound_runs_the_video_back_and_forth(face_clip, shared_cache, tmp_path, ffmpeg_exe) -> None:
    import subprocess

    long = tmp_path / "long.wav"
    subprocess.run([ffmpeg_exe, "-loglevel", "error", "-f", "lavfi", "-i", "sine=d=2.4", str(long)], check=True)
    dub = load_dub(job(face_clip, long), cache=shared_cache)
    assert dub.num_frames == 60
    frames = list(dub.frames())
    assert len(frames) == 60
    last = face_clip.num_frames - 1
    np.testing.assert_array_equal(frames[last + 5][:60], frames[last - 5][:60])
    cut = load_dub(job(face_clip, long, preset=Preset(motion_ends="cut")), cache=shared_cache)
    assert cut.num_frames == face_clip.num_frames


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 2, 2], [0, 1, 2, 1, 0, 1], [5], [4, 5, 0, 1, 2, 2, 2]])
def test_frames_are_read_in_any_order(face_clip, rows) -> None:
    info = probe(face_clip.path)
    whole = list(read_frames(face_clip.path, 0, 6, info=info))
    found = list(_in_order(info, np.array(rows)))
    assert len(found) == len(rows)
    for frame, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(frame, whole[row])


@pytest.mark.parametrize(
    "changes",
    [
        {"driving": "motion:nod"}, {"preset": Preset(size="64x64")}, {"preset": Preset(background="#00ff00")},
        {"side_by_side": True}, {"preset": Preset(fps="30")},
    ],
)  # fmt: skip
def test_what_would_change_more_than_the_mouth_is_refused(face_clip, shared_cache, changes) -> None:
    with pytest.raises(UsageError, match="video"):
        load_dub(job(face_clip, **changes), cache=shared_cache)


def test_a_video_without_a_face_is_refused(face_clip, cache, tmp_path, encode_clip) -> None:
    empty = tmp_path / "empty.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (4, 96, 96, 3), np.uint8)
    encode_clip(empty, np.repeat(noise, 2, 0), Fraction(25))
    with pytest.raises(NoPersonFound, match=r"empty\.mp4"):
        load_dub(replace(job(face_clip), references=(empty,)), cache=cache)

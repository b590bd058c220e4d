"""The damaged and odd files of the media set, beside the repository."""

import json
import re

import numpy as np
import pytest

from dreamactor_cli.errors import InputRefused, NoStream
from dreamactor_cli.media import load_image, probe, read_frames
from dreamactor_cli.media.mux import sound_of


@pytest.fixture
def bad(shared_media):
    return shared_media / "bad"


def test_every_file_is_read_or_refused_by_name(bad) -> None:
    """No other exception than ours; what is to be rejected outright is rejected."""
    readers = {
        ".jpg": load_image,
        ".png": load_image,
        ".webp": load_image,
        ".gif": load_image,
        ".wav": sound_of,
        ".mp3": sound_of,
    }
    for entry in json.loads((bad.parent / "index.json").read_text())["files"]:
        if entry["kind"] != "bad":
            continue
        path = bad.parent / entry["file"]
        read = readers.get(path.suffix, probe)
        if entry["expect"].startswith(("reject, clear", "as driving video: reject")):
            with pytest.raises(InputRefused, match=re.escape(path.name)) as refusal:
                read(path)
            assert refusal.value.hint
        else:
            read(path)


@pytest.mark.parametrize(
    ("name", "size", "frames"),
    [
        ("vfr.mp4", (524, 524), 122), ("rotated_90.mp4", (524, 524), 77), ("one_frame.mp4", (480, 480), 1),
        ("odd_721x405.mp4", (721, 405), 90), ("face_then_noface.mov", (960, 540), 192), ("vp9_opus.webm", (524, 524), 75),
        ("corrupt_stream.mp4", (480, 480), 216), ("animated.gif", (200, 200), 24),
    ],
)  # fmt: skip
def test_odd_clips_give_all_their_frames(bad, name, size, frames) -> None:
    info = probe(bad / name)
    shapes = [frame.shape for frame in read_frames(bad / name, info=info, accurate=False)]
    assert ((info.width, info.height), info.num_frames) == (size, frames)
    assert shapes == [(size[1], size[0], 3)] * frames


def test_a_corrupt_stream_counts_what_it_repeats(bad) -> None:
    reader = read_frames(bad / "corrupt_stream.mp4", accurate=False)
    assert len(list(reader)) == 216
    assert 20 < reader.repeated < 80


def test_a_phones_clip_stands_upright(bad) -> None:
    """Sky above, shirt below: the top of the upright picture is brighter and the bottom is red."""
    frame = next(read_frames(bad / "phone_rotated.mp4")).astype(float)
    red = frame[..., 0] - frame[..., 1]
    assert red[-60:].mean() > red[:60].mean() + 30


def test_one_photo_in_many_forms_has_the_same_colours(bad) -> None:
    upright, cmyk = load_image(bad / "exif_orientation_6.jpg").rgb, load_image(bad / "cmyk.jpg").rgb
    assert upright.shape == cmyk.shape == (800, 533, 3)
    assert np.abs(upright.astype(float) - cmyk).mean() < 3
    grey, deep = load_image(bad / "gray.jpg").rgb, load_image(bad / "gray_16bit.png").rgb
    assert np.abs(grey.astype(float) - deep).mean() < 2


def test_sound_only_has_no_picture_and_the_other_way_round(bad) -> None:
    with pytest.raises(NoStream):
        probe(bad / "audio_only.mp4")
    assert sound_of(bad / "audio_only.mp4").codec == "aac"
    with pytest.raises(NoStream):
        sound_of(bad / "video_no_audio_track.mp4")

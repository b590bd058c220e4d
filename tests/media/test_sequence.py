import os
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import VideoWriter


def write(path, frames, **options):
    _, height, width, channels = frames.shape
    with VideoWriter(path, width=width, height=height, fps=Fraction(25), alpha=channels == 4, **options) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (3, 9, 13, 4), np.uint8)


@pytest.mark.parametrize("name", ["frames", "deep/er", "with space %d"])
def test_a_folder_gets_numbered_files_without_loss(leftovers, frames, name) -> None:
    write(leftovers / name, frames)
    assert sorted(os.listdir(leftovers / name)) == ["00001.png", "00002.png", "00003.png"]
    for k, frame in enumerate(frames):
        with Image.open(leftovers / name / f"{k + 1:05d}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), frame)


def test_a_pattern_names_the_files(leftovers, frames) -> None:
    write(leftovers / "shot_%03d_v2.png", frames[..., :3], metadata={"comment": "seed 7, ü"})
    assert sorted(os.listdir(leftovers)) == [f"shot_00{k}_v2.png" for k in (1, 2, 3)]
    with Image.open(leftovers / "shot_001_v2.png") as picture:
        assert picture.mode == "RGB"
        assert picture.info["comment"] == "seed 7, ü"


def test_a_shorter_take_leaves_no_stale_frame_and_no_other_file_is_touched(leftovers, frames) -> None:
    write(leftovers / "take", frames)
    (leftovers / "take" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        write(leftovers / "take", frames[:1])
    write(leftovers / "take", frames[:1], overwrite=True)
    assert sorted(os.listdir(leftovers / "take")) == ["00001.png", "notes.txt"]


def test_an_empty_folder_is_filled(leftovers, frames) -> None:
    (leftovers / "empty.d").mkdir()
    write(leftovers / "empty.d", frames)
    assert len(os.listdir(leftovers / "empty.d")) == 3


def test_an_error_leaves_nothing(leftovers, frames) -> None:
    def interrupted() -> None:
        with VideoWriter(leftovers / "take", width=13, height=9, fps=Fraction(25), alpha=True) as writer:
            writer.write(frames[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(leftovers) == []

"""What drives a job, and which part of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, ControlStream, Job, Preset
from dreamactor_cli.controls_file import write_controls
from dreamactor_cli.driving import Driver, driving_sha256, load_driver
from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.media import sha256_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

SIGNALS = ("face", "head")


def _job(driving: object, **options: Any) -> Job:
    fps = options.pop("fps", "source")
    return Job(
        id="job", references=(Path("nobody.png"),), output=Path("out.mp4"), preset=Preset(fps=fps),
        driving=None if driving is None else str(driving), **options,
    )  # fmt: skip


def _whole(stream: ControlStream) -> Controls:
    return stream.window(0, stream.num_frames)


@pytest.fixture
def load(shared_cache: Cache) -> Callable[..., Driver]:
    def start(driving: object, **options: Any) -> Driver:
        return load_driver(_job(driving, **options), signals=SIGNALS, cache=shared_cache, workers=1)

    return start


@pytest.fixture(scope="module")
def controls_file(tmp_path_factory: pytest.TempPathFactory, perform: Callable[..., Controls]) -> Path:
    """Two seconds of a turning head, 50 frames."""
    path = tmp_path_factory.mktemp("controls") / "turn.controls.safetensors"
    write_controls(path, perform(2.0, headYaw=(0, 40)))
    return path


def test_a_motion_has_the_rate_that_is_asked_for(load: Callable[..., Driver]) -> None:
    driver = load("motion:nod", fps="30000/1001", duration=Fraction(1))
    assert (driver.controls.fps, driver.controls.num_frames) == (Fraction(30000, 1001), 30)
    assert driver.video is None
    assert load("motion:nod").controls.fps == 25


@pytest.mark.parametrize(
    ("start", "duration", "frames"), [(0, 1, 25), (1, 1, 25), (Fraction(1, 2), Fraction(1, 5), 5), (0, 9, 225)]
)
def test_a_window_of_a_motion(load: Callable[..., Driver], start: Fraction, duration: Fraction, frames: int) -> None:
    """A motion that loops lasts as long as it is asked for."""
    part = load("motion:talk", start=Fraction(start), duration=Fraction(duration)).controls
    assert part.num_frames == frames
    whole = _whole(load("motion:talk", duration=Fraction(start) + Fraction(duration)).controls)
    first = round(start * 25)
    found, expected = _whole(part).head, whole.window(first, first + frames).head
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found.rotation, expected.rotation, atol=1e-6)


def test_a_window_of_a_controls_file(load: Callable[..., Driver], controls_file: Path) -> None:
    part = load(controls_file, start=Fraction(1, 2), duration=Fraction(1)).controls
    assert (part.num_frames, part.fps, part.width, part.height) == (25, Fraction(25), 400, 300)
    head = _whole(part).head
    assert head is not None
    np.testing.assert_allclose(head_space.euler_degrees(head.rotation)[:, 0], 20 * (np.arange(12, 37) / 25), atol=0.2)
    assert part.window(20, 99).num_frames == 5
    assert part.window(-3, 2).num_frames == 2


def test_a_window_is_cut_at_the_end(load: Callable[..., Driver], controls_file: Path) -> None:
    assert load(controls_file, start=Fraction(8, 5), duration=Fraction(9)).controls.num_frames == 10
    assert load(controls_file).controls.num_frames == 50
    assert load(controls_file, duration=Fraction(1, 1000)).controls.num_frames == 1


@pytest.mark.parametrize("window", [{"start": Fraction(2)}, {"start": Fraction(-1)}, {"duration": Fraction(0)}])
@pytest.mark.parametrize("what", ["file", "motion", "video"])
def test_an_empty_window_is_refused(
    load: Callable[..., Driver], controls_file: Path, face_clip: FaceClip, what: str, window: dict[str, Fraction]
) -> None:
    driving = {"file": controls_file, "motion": "motion:nod", "video": face_clip.path}[what]
    if what == "motion" and window.get("start") == 2:
        window = {"start": Fraction(3600)}
    with pytest.raises(UsageError, match="window") as wrong:
        load(driving, **window)
    assert "--start" in wrong.value.hint


def test_a_video_tells_where_its_window_begins(load: Callable[..., Driver], face_clip: FaceClip) -> None:
    driver = load(face_clip.path, start=Fraction(2, 5), duration=Fraction(1, 5))
    assert driver.video is not None
    assert (driver.first_frame, driver.controls.num_frames) == (10, 5)
    again = load(face_clip.path, start=Fraction(2, 5), duration=Fraction(1, 5))
    assert again.cache_hits == len(SIGNALS)


def test_no_driver_is_a_usage_error(load: Callable[..., Driver]) -> None:
    with pytest.raises(UsageError, match="no driver"):
        load(None)


def test_an_unknown_motion_is_a_usage_error(load: Callable[..., Driver]) -> None:
    with pytest.raises(UsageError, match="nood"):
        load("motion:nood")


def test_what_is_no_video_is_unreadable(load: Callable[..., Driver], astronaut: Path, tmp_path: Path) -> None:
    text = tmp_path / "clip.mp4"
    text.write_text("not a video")
    for path in (astronaut, text, tmp_path / "none.mp4"):
        with pytest.raises(UnreadableInput, match=path.name):
            load(path)


def test_what_identifies_a_driver(controls_file: Path) -> None:
    assert driving_sha256(str(controls_file)) == sha256_file(controls_file)
    nod, talk = driving_sha256("motion:nod"), driving_sha256("motion:talk")
    assert len(nod) == len(talk) == 64
    assert nod != talk
    assert driving_sha256("motion:nod") == nod

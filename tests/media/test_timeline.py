from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.errors import NoStream, UnreadableInput
from dreamactor_cli.media.timeline import stepped_rate, timeline_of, uniform_rate

MS = Fraction(1, 1000)
NTSC = Fraction(30000, 1001)


def stamps(fps: Fraction, count: int, time_base: Fraction) -> NDArray[np.int64]:
    """Time stamps of even pictures, rounded to the clock."""
    return np.array([round(k / fps / time_base) for k in range(count)], np.int64)


@pytest.mark.parametrize("fps", [NTSC, Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60000, 1001), Fraction(12)])
def test_a_rate_is_found_behind_rounded_time_stamps(fps: Fraction) -> None:
    assert uniform_rate(stamps(fps, 5000, MS), MS, []) == fps


def test_a_wrong_rate_in_the_header_does_not_pass() -> None:
    hour = stamps(NTSC, 108_000, Fraction(1, 90000))
    assert uniform_rate(hour, Fraction(1, 90000), [Fraction(30), Fraction(2997, 100)]) == NTSC


def test_jitter_of_a_camera_is_no_variable_rate() -> None:
    jitter = np.random.default_rng(0).integers(-5, 6, 600)
    assert uniform_rate(stamps(Fraction(30), 600, MS) + jitter, MS, []) == 30


def test_a_rate_of_no_standard_is_kept_exactly() -> None:
    even = np.arange(149, dtype=np.int64) * 384 + 378
    assert uniform_rate(even, Fraction(1, 11456), []) == Fraction(179, 6)


def test_dropped_pictures_are_a_variable_rate_on_the_grid_they_left() -> None:
    kept = np.delete(stamps(Fraction(25), 100, MS), [3, 10, 11, 40, 41, 42])
    assert uniform_rate(kept, MS, [Fraction(25)]) is None
    assert stepped_rate(kept, MS, []) == 25


def test_two_rates_in_one_clip_take_the_announced_or_the_next_standard_rate() -> None:
    mixed = np.cumsum(np.concatenate([[0], np.full(60, 640), np.full(60, 512)]))  # 24 then 30 fps
    assert stepped_rate(mixed, Fraction(1, 15360), [Fraction(30), Fraction(519168, 19667)]) == 30
    wild = np.cumsum(np.random.default_rng(1).integers(30, 60, 100))  # about 22 fps
    assert stepped_rate(wild, MS, []) in (Fraction(24000, 1001), Fraction(24), Fraction(25))


def test_real_frames_are_counted(make) -> None:
    timeline = timeline_of(make("clip.webm", "-c:v", "libvpx", "-g", "20"))
    assert (timeline.fps, len(timeline.pictures), timeline.variable) == (NTSC, 60, False)


def test_frames_of_a_variable_rate_show_the_last_picture_at_their_time(make) -> None:
    drop = "select='not(eq(n,3)+eq(n,4)+eq(n,9))'"
    path = make("vfr.mp4", "-vf", drop, "-fps_mode", "vfr", "-c:v", "libx264", source="testsrc2=s=64x48:r=25:d=1")
    timeline = timeline_of(path)
    shown = timeline.pictures * timeline.time_base * 25
    assert timeline.variable
    assert timeline.fps == 25
    assert [int(k) for k in shown[:11]] == [0, 1, 2, 2, 2, 5, 6, 7, 8, 8, 10]
    assert len(shown) == 25


def test_a_cut_with_an_edit_list_shows_what_a_player_shows(make) -> None:
    whole = make("whole.mp4", "-c:v", "libx264", "-g", "20", "-bf", "3")
    cut = make("cut.mp4", "-t", "1", "-c", "copy", source="", inputs=("-ss", "0.7", "-i", str(whole)))
    timeline = timeline_of(cut)
    assert not timeline.variable
    assert timeline.pictures[0] == 0
    assert timeline.keyframes[0] < 0  # decoding starts before the first picture that is shown
    assert len(timeline.pictures) in (30, 31, 32)


def test_the_timeline_is_read_again_when_the_file_changes(make, tmp_path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(make("a.mp4", "-c:v", "libx264").read_bytes())
    first = len(timeline_of(path).pictures)
    path.write_bytes(make("b.mp4", "-c:v", "libx264", source="testsrc2=s=64x48:r=25:d=1").read_bytes())
    assert (first, len(timeline_of(path).pictures)) == (60, 25)


def test_sound_has_no_timeline(bursts, tmp_path) -> None:
    with pytest.raises(NoStream, match=r"bursts\.wav has no video"):
        timeline_of(bursts)
    with pytest.raises(UnreadableInput, match="not found"):
        timeline_of(tmp_path / "none.mp4")

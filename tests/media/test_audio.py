"""Sound of every kind arrives as the same mono samples, in time."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.errors import InputRefused, NoStream, UnreadableInput, UsageError
from dreamactor_cli.media import SAMPLE_RATE, read_sound
from dreamactor_cli.media.audio import BLOCK

CONTAINERS = {
    "a.wav": ("-c:a", "pcm_s16le"), "a.flac": ("-c:a", "flac"), "a.m4a": ("-c:a", "aac"), "a.mp3": ("-c:a", "libmp3lame"),
    "a.opus": ("-c:a", "libopus"), "a.ogg": ("-c:a", "libvorbis"), "deep.wav": ("-c:a", "pcm_s24le"),
    "float.wav": ("-c:a", "pcm_f32le"), "low.wav": ("-ar", "8000"), "high.wav": ("-ar", "192000"), "stereo.wav": ("-ac", "2"),
    "surround.flac": ("-af", "aformat=channel_layouts=mono,pan=7.1|FC=c0",),
}  # fmt: skip


def whole(path, **window):
    return np.concatenate(list(read_sound(path, **window)))


def at_16k(bursts, pcm):
    """The bursts by FFmpeg's program, 48 to 16 kHz by means of three."""
    samples = pcm(bursts)
    return samples[: len(samples) // 3 * 3].reshape(-1, 3).mean(1)


@pytest.mark.parametrize("name", CONTAINERS)
def test_any_container_rate_and_layout_gives_the_same_sound(make, bursts, pcm, lag, name) -> None:
    path = make(name, *CONTAINERS[name], source="", inputs=("-i", str(bursts)))
    wanted, sound = at_16k(bursts, pcm), whole(path)
    assert abs(len(sound) / SAMPLE_RATE - 2.6) < 0.03
    assert abs(lag(wanted, sound)) <= 8  # half a millisecond
    size = min(len(wanted), len(sound))
    assert np.corrcoef(wanted[:size], sound[:size])[0, 1] > (0.9 if name == "low.wav" else 0.98)


@pytest.mark.parametrize("late", [0.6, -0.4])
def test_time_counts_from_the_first_picture(make, bursts, pcm, lag, late) -> None:
    given = ("-itsoffset", str(late), "-i", str(bursts))
    path = make("late.mkv", "-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-c:a", "flac", "-avoid_negative_ts", "0",
                source="testsrc2=s=64x48:r=25:d=2.5", inputs=given)  # fmt: skip
    sound = whole(path)
    assert abs(lag(at_16k(bursts, pcm), sound) - late * SAMPLE_RATE) <= 48  # 3 ms: Matroska's clock
    if late > 0:
        assert not sound[: int(0.55 * SAMPLE_RATE)].any()


def test_windows_and_blocks_are_parts_of_the_whole(make, bursts) -> None:
    path = make("long.flac", "-af", "aloop=3:114660", source="", inputs=("-i", str(bursts)))
    blocks = list(read_sound(path))
    assert len(blocks) >= 2
    assert {len(block) for block in blocks[:-1]} == {BLOCK}
    full = np.concatenate(blocks)
    part = whole(path, start=Fraction(7, 4), duration=Fraction(5, 2))
    np.testing.assert_array_equal(part, full[28000:68000])


def test_an_empty_window_is_refused(bursts) -> None:
    with pytest.raises(UsageError, match="empty"):
        whole(bursts, start=Fraction(9))


def test_what_is_no_sound_is_refused(make, tmp_path) -> None:
    with pytest.raises(NoStream, match="no sound"):
        whole(make("silent.mp4"))
    with pytest.raises(UnreadableInput, match="not found"):
        whole(tmp_path / "nothing.wav")
    (tmp_path / "text.wav").write_text("no sound at all, but long enough to be looked at " * 40)
    with pytest.raises(UnreadableInput, match="not a video or sound"):
        whole(tmp_path / "text.wav")


def test_a_damaged_stretch_keeps_what_follows_in_time(make, bursts, lag, pcm) -> None:
    path = make("hurt.mp4", "-c:a", "aac", source="", inputs=("-i", str(bursts)))
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + len(data) // 2
    data[middle : middle + 900] = np.random.default_rng(0).bytes(900)
    path.write_bytes(data)
    reader = read_sound(path)
    sound, wanted = np.concatenate(list(reader)), at_16k(bursts, pcm)
    last = slice(int(1.9 * SAMPLE_RATE), int(2.2 * SAMPLE_RATE))  # the last burst
    assert reader.damaged > 0
    assert abs(lag(wanted[last], sound[last])) <= 0.01 * SAMPLE_RATE


def test_odd_sounds_are_read_and_bad_ones_refused_by_name(shared_media) -> None:
    """Sounds of the media set, as their ``expect`` says."""
    entries = {entry["file"]: entry for entry in json.loads((shared_media / "index.json").read_text())["files"]}
    lengths = {
        "silent.wav": 5.0, "rate_8k.wav": 4.0, "speech.mp3": 6.0, "surround_7_1.wav": 1.6, "left_only.wav": 2.5,
        "short_40ms.wav": 0.04, "float32.wav": 3.0, "vp9_opus.webm": 3.0, "audio_only.mp4": 4.88, "corrupt_stream.mp4": 7.2,
    }  # fmt: skip
    for name, seconds in lengths.items():
        assert len(whole(shared_media / "bad" / name)) / SAMPLE_RATE == pytest.approx(seconds, abs=0.02), name
        assert f"bad/{name}" in entries
    assert np.abs(whole(shared_media / "bad" / "surround_7_1.wav")).max() > 0.1  # speech survives the downmix
    assert np.abs(whole(shared_media / "bad" / "left_only.wav")).max() > 0.1
    for name in ("text.wav", "zero.mp4", "text.mp4", "video_no_audio_track.mp4"):
        with pytest.raises(InputRefused, match=re.escape(name)) as refusal:
            whole(shared_media / "bad" / name)
        assert refusal.value.hint

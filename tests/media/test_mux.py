from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.media import AudioSource, VideoWriter, probe
from dreamactor_cli.media.mux import sound_of

PATTERN = "testsrc2=s=64x48:r=30000/1001:d=2.5"
NTSC = Fraction(30000, 1001)
RATE = 48000
COPIED = {"aac.mp4": ".mp4", "aac.mkv": ".mp4", "opus.webm": ".webm"}
SOURCES = {
    "aac.mp4": ("-c:v", "libx264", "-c:a", "aac"),
    "aac.mkv": ("-c:v", "libx264", "-c:a", "aac"),
    "aac.ts": ("-c:v", "libx264", "-c:a", "aac"),
    "opus.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
    "mp3.mkv": ("-c:v", "libx264", "-c:a", "libmp3lame"),
    "pcm.mov": ("-c:v", "libx264", "-c:a", "pcm_s16le"),
}


@pytest.fixture(scope="session")
def speaking(make, bursts):
    """``speaking(name, delay=0, video_delay=0)``: a clip with the bursts, with streams that may start late."""

    def build(name: str, delay: float = 0, video_delay: float = 0):
        late = ("-itsoffset", str(delay), "-i", str(bursts))
        later = ("-vf", f"setpts=PTS+{video_delay}/TB", "-fps_mode", "passthrough")
        return make(name, "-map", "0:v", "-map", "1:a", *later, *SOURCES[name], source=PATTERN, inputs=late)

    return build


def write(path, audio, frames: int = 45, fps: Fraction = NTSC) -> Fraction:
    """A grey video with sound; its duration in seconds."""
    with VideoWriter(path, width=64, height=64, fps=fps, audio=audio, overwrite=True) as writer:
        for k in range(frames):
            writer.write(np.full((64, 64, 3), k % 256, np.uint8))
    info = probe(path)
    assert (info.num_frames, info.fps) == (frames, fps)
    return frames / fps


def stream_times(path) -> tuple[float, float]:
    """When pictures and sound of a file begin, seconds."""
    import av

    with av.open(str(path)) as container:
        streams = container.streams.video[0], container.streams.audio[0]
        return tuple(float((s.start_time or 0) * s.time_base) for s in streams)


@pytest.mark.parametrize("start", [Fraction(0), Fraction(1001 * 17, 30000)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("name", SOURCES)
def test_sound_is_in_sync_to_the_sample(speaking, pcm, lag, tmp_path, name, suffix, start) -> None:
    source, path = speaking(name), tmp_path / f"out{suffix}"
    duration = write(path, AudioSource(source, start))
    sound = pcm(path)
    reference = pcm(source)[round((float(start) + stream_times(source)[0]) * RATE) :]
    rounding = RATE // 1000 if name.endswith(".mkv") else 1  # Matroska counts in milliseconds
    assert abs(lag(reference[: len(sound)], sound)) <= rounding
    assert float(duration) - 0.03 < len(sound) / RATE <= float(duration) + 1 / RATE
    assert abs(stream_times(path)[0]) < 1e-6


@pytest.mark.parametrize(("delay", "video_delay"), [(0.35, 0), (0, 0.4)])
@pytest.mark.parametrize("name", ["aac.mp4", "mp3.mkv"])
def test_streams_that_start_apart_stay_apart(speaking, pcm, lag, tmp_path, name, delay, video_delay) -> None:
    source, path = speaking(name, delay, video_delay), tmp_path / "out.mp4"
    write(path, AudioSource(source))
    first_picture = stream_times(source)[0]
    assert first_picture == pytest.approx(video_delay, abs=0.04)
    sound, reference = pcm(path), pcm(source)[round(first_picture * RATE) :]
    assert abs(lag(reference[: len(sound)], sound)) <= RATE // 1000  # Matroska counts in milliseconds


@pytest.mark.parametrize(("name", "suffix"), COPIED.items())
def test_whole_sound_is_copied_where_the_container_takes_it(speaking, tmp_path, name, suffix) -> None:
    import av

    def packets(path):
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    source, path = speaking(name), tmp_path / f"out{suffix}"
    write(path, AudioSource(source))
    ours, theirs = packets(path), packets(source)
    assert len(ours) > 30
    assert ours == theirs[: len(ours)]
    assert sound_of(path).codec == sound_of(source).codec


def test_a_window_ends_where_it_was_told(speaking, pcm, tmp_path) -> None:
    path = tmp_path / "out.mp4"
    write(path, AudioSource(speaking("aac.mp4"), Fraction(1, 2), Fraction(3, 4)))
    assert len(pcm(path)) / RATE == pytest.approx(0.75, abs=0.03)


def test_sound_without_pictures_starts_at_its_own_beginning(bursts, pcm, lag, tmp_path) -> None:
    path = tmp_path / "out.mp4"
    write(path, AudioSource(bursts))
    sound = pcm(path)
    assert lag(pcm(bursts)[: len(sound)], sound) == 0


def test_short_sound_leaves_the_pictures_whole(bursts, tmp_path) -> None:
    path = tmp_path / "out.mp4"
    assert write(path, AudioSource(bursts), frames=120) > 2.6
    assert sound_of(path).codec == "aac"


def test_the_centre_of_surround_survives(make, pcm, tmp_path) -> None:
    centre = "sine=f=440:d=1,pan=7.1|FC=c0"
    source = make("surround.wav", "-f", "wav", source="", inputs=("-f", "lavfi", "-i", centre))
    path = tmp_path / "out.mp4"
    write(path, AudioSource(source), frames=25, fps=Fraction(25))
    sound = pcm(path)[4800:-4800]
    assert sound_of(path).channels == 2
    assert np.sqrt(np.mean(sound**2)) > 0.02


def test_2997_fps_does_not_drift(make, bursts, pcm, lag, tmp_path) -> None:
    """Three minutes: with 29.97 instead of 30000/1001 the end would be 9 samples off, with 30 it would be 0.18 s."""
    source = make("long.wav", source="", inputs=("-stream_loop", "69", "-i", str(bursts)))
    path = tmp_path / "out.mp4"
    duration = write(path, AudioSource(source), frames=5395)
    sound, reference = pcm(path), pcm(source)
    assert duration == 5395 * Fraction(1001, 30000)
    assert abs(len(sound) - duration * RATE) <= 1
    end = slice(170 * RATE, 178 * RATE)
    assert lag(reference[end], sound[end]) == 0

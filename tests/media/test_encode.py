import errno
import os
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest

from dreamactor_cli.errors import DiskFull, JobFailed, MissingRequirement, NoStream, UsageError
from dreamactor_cli.media import AudioSource, VideoWriter, ffmpeg, probe, read_frames

NTSC = Fraction(30000, 1001)


def write(path, frames, fps=NTSC, **options):
    """Write frames (T, H, W, C); the closed writer."""
    _, height, width, _ = frames.shape
    with VideoWriter(path, width=width, height=height, fps=fps, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return writer


def with_alpha(frames):
    """The left half transparent."""
    alpha = np.full((*frames.shape[:3], 1), 255, np.uint8)
    alpha[:, :, : frames.shape[2] // 2] = 0
    return np.concatenate([frames, alpha], -1)


def decoded_alpha(exe, path, *decoder):
    """Alpha of the first frame as FFmpeg decodes it, (H, W)."""
    info = probe(path)
    command = [
        exe,
        "-loglevel",
        "error",
        *decoder,
        "-i",
        f"file:{path}",
        "-frames:v",
        "1",
        "-pix_fmt",
        "rgba",
        "-f",
        "rawvideo",
        "-",
    ]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(info.height, info.width, 4)[..., 3]


FORMATS = {".mp4": ("h264", "yuv420p"), ".mov": ("h264", "yuv420p"), ".webm": ("vp9", "yuv420p")}


@pytest.mark.parametrize("suffix", FORMATS)
def test_frames_rate_and_size_are_exact(moving, psnr, leftovers, suffix) -> None:
    path = leftovers / f"out{suffix}"
    write(path, moving)
    info = probe(path)
    assert (info.width, info.height, info.fps, info.num_frames) == (256, 256, NTSC, len(moving))
    assert (info.codec, info.pixel_format) == FORMATS[suffix]
    assert psnr(np.stack(list(read_frames(path))), moving) > 33


def test_crf_0_keeps_50_db_through_decoding_and_encoding(moving, psnr, tmp_path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    write(first, moving, crf=0)
    once = np.stack(list(read_frames(first)))
    write(second, once, crf=0)
    twice = np.stack(list(read_frames(second)))
    assert psnr(once, moving) > 50
    assert psnr(twice, once) > 50
    assert np.abs(twice.astype(float).mean((0, 1, 2)) - moving.mean((0, 1, 2))).max() < 0.1


def test_a_clip_of_ordinary_chroma_keeps_50_db_through_crf_0(face_clip, psnr, tmp_path) -> None:
    source = np.stack(list(read_frames(face_clip.path, 0, 8)))
    path = tmp_path / "again.mp4"
    write(path, source, crf=0)
    assert psnr(np.stack(list(read_frames(path))), source) > 50


def test_colours_are_tagged(moving, tmp_path) -> None:
    import av

    path = tmp_path / "out.mp4"
    write(path, moving)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)  # BT.709, limited


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "sound.mp4"])
def test_the_same_frames_give_the_same_bytes(moving, bursts, tmp_path, name) -> None:
    audio = AudioSource(bursts) if name.startswith("sound") else None
    first, second = tmp_path / "1" / name, tmp_path / "2" / name
    write(first, moving, audio=audio)
    time.sleep(1.1)  # a date in the file would differ now
    write(second, moving, audio=audio)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("suffix", "decoder"), [(".mov", ()), (".webm", ("-c:v", "libvpx-vp9")), (".gif", ())])
def test_alpha_is_kept(moving, ffmpeg_exe, tmp_path, suffix, decoder) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, with_alpha(moving), alpha=True, fps=Fraction(25))
    alpha = decoded_alpha(ffmpeg_exe, path, *decoder)
    assert alpha[:, :120].max() <= 2
    assert alpha[:, 136:].min() >= 253
    assert probe(path).num_frames == len(moving)


def test_alpha_survives_sound(moving, ffmpeg_exe, bursts, tmp_path) -> None:
    path = tmp_path / "out.webm"
    write(path, with_alpha(moving), alpha=True, audio=AudioSource(bursts))
    assert decoded_alpha(ffmpeg_exe, path, "-c:v", "libvpx-vp9")[:, :120].max() <= 2
    assert probe(path).audio_codec == "opus"


def test_prores_is_4444(moving, tmp_path) -> None:
    path = tmp_path / "out.mov"
    write(path, with_alpha(moving), alpha=True)
    info = probe(path)
    assert info.codec == "prores"
    assert info.pixel_format.startswith("yuva444p")


def test_a_picture_without_alpha_is_opaque_where_alpha_is_asked_for(moving, ffmpeg_exe, tmp_path) -> None:
    path = tmp_path / "out.mov"
    write(path, moving[:1], alpha=False)
    with VideoWriter(tmp_path / "alpha.mov", width=256, height=256, fps=NTSC, alpha=True) as writer:
        writer.write(moving[0])
    assert decoded_alpha(ffmpeg_exe, tmp_path / "alpha.mov").min() == 255


@pytest.mark.parametrize(("suffix", "size"), [(".mp4", (66, 50)), (".webm", (66, 50)), (".gif", (65, 49))])
def test_odd_sizes_are_padded_by_their_edge_where_needed(tmp_path, suffix, size) -> None:
    frames = np.full((3, 49, 65, 3), 40, np.uint8)
    frames[:, -1] = 200
    path = tmp_path / f"out{suffix}"
    writer = write(path, frames, fps=Fraction(25))
    info = probe(path)
    assert (info.width, info.height) == size
    assert any("padded from 65x49 to 66x50" in line for line in writer.warnings) == (suffix != ".gif")
    assert next(read_frames(path))[-1].mean() > 180


def test_a_gif_keeps_time_and_drops_sound_with_a_word(moving, bursts, tmp_path) -> None:
    path = tmp_path / "out.gif"
    writer = write(path, np.concatenate([moving[:, :64, :64]] * 4), fps=Fraction(30), audio=AudioSource(bursts))
    info = probe(path)
    assert (info.fps, info.num_frames, info.audio_codec) == (30, 32, None)
    assert any("sound" in line for line in writer.warnings)


def test_a_fast_gif_is_thinned_to_what_browsers_play(moving, tmp_path) -> None:
    path = tmp_path / "out.gif"
    write(path, np.concatenate([moving[:, :64, :64]] * 4), fps=Fraction(60))
    info = probe(path)
    assert info.fps == 50
    assert abs(info.duration - Fraction(32, 60)) <= Fraction(1, 50)


@pytest.mark.parametrize("name", ["-dash.mp4", "sp ace 'quote\".mp4", "100%d.mp4", "a:b.webm", "żółć 映画.mov", "%03d.gif"])
def test_any_name_works(moving, leftovers, monkeypatch, name) -> None:
    monkeypatch.chdir(leftovers)
    write(Path(name), moving[:, :64, :64], fps=Fraction(25))
    assert os.listdir(leftovers) == [name]
    assert probe(leftovers / name).num_frames == len(moving)


def test_metadata_is_written(moving, bursts, tmp_path) -> None:
    import av

    text = 'seed=7; "quotes", back\\slash, ünï; a=b'
    for name, audio in (("a.mp4", None), ("b.mp4", AudioSource(bursts)), ("c.webm", None)):
        write(tmp_path / name, moving, metadata={"comment": text, "title": "two"}, audio=audio)
        with av.open(str(tmp_path / name)) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
        assert (found["comment"], found["title"]) == (text, "two")


def test_the_folder_is_made_and_what_is_there_is_not_replaced_unasked(moving, tmp_path) -> None:
    path = tmp_path / "new" / "folder" / "out.mp4"
    write(path, moving)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"exists.*--overwrite"):
        write(path, moving[:2])
    assert path.read_bytes() == before
    write(path, moving[:2], overwrite=True)
    assert probe(path).num_frames == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "frames"])
def test_an_error_leaves_the_old_output_and_nothing_else(moving, leftovers, error, name) -> None:
    def interrupted() -> None:
        with VideoWriter(leftovers / name, width=256, height=256, fps=NTSC, overwrite=True) as writer:
            writer.write(moving[0])
            raise error

    old = leftovers / "out.mp4"
    old.write_bytes(b"old")
    children = set(psutil.Process().children())
    with pytest.raises(error):
        interrupted()
    assert old.read_bytes() == b"old"
    assert os.listdir(leftovers) == ["out.mp4"]
    assert set(psutil.Process().children()) == children  # killed and reaped


def test_nothing_appears_before_the_end(moving, tmp_path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, width=256, height=256, fps=NTSC) as writer:
        writer.write(moving[0])
        assert not path.exists()
    assert path.exists()


def test_no_frames_is_an_error(leftovers) -> None:
    with pytest.raises(JobFailed, match="no frame"), VideoWriter(leftovers / "out.mp4", width=64, height=64, fps=NTSC):
        pass
    assert os.listdir(leftovers) == []


def test_wrong_frames_are_told(leftovers) -> None:
    with (
        pytest.raises(ValueError, match=r"\(32, 64, 3\)"),
        VideoWriter(leftovers / "out.mp4", width=64, height=64, fps=NTSC) as writer,
    ):
        writer.write(np.zeros((32, 64, 3), np.uint8))
    assert os.listdir(leftovers) == []


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [("out.xyz", {}, "unknown output format"), ("out.mp4", {"alpha": True}, "transparency"), ("out.mp4", {"crf": 52}, "crf")],
)
def test_impossible_outputs_are_refused_at_once(tmp_path, name, options, words) -> None:
    with pytest.raises(UsageError, match=words):
        VideoWriter(tmp_path / name, width=64, height=64, fps=NTSC, **options)


def test_sound_that_is_not_there_is_refused_at_once(face_clip, moving, tmp_path) -> None:
    silent = tmp_path / "silent.mp4"
    write(silent, moving)
    with pytest.raises(NoStream, match=r"silent\.mp4 has no sound"):
        VideoWriter(tmp_path / "out.mp4", width=64, height=64, fps=NTSC, audio=AudioSource(silent))


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """``fake_ffmpeg(python code)``: the only FFmpeg there is, with all the encoders."""

    def install(code: str) -> None:
        program = tmp_path / "fake-ffmpeg"
        program.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
        program.chmod(0o755)
        monkeypatch.setattr(ffmpeg, "candidates", lambda: (str(program),))
        monkeypatch.setattr(ffmpeg, "encoders_of", lambda _: frozenset({"libx264", "libvpx-vp9", "aac"}))

    return install


def test_a_full_disk_is_told_as_such(moving, leftovers, fake_ffmpeg) -> None:
    fake_ffmpeg("sys.stdin.buffer.read(100); sys.exit('Error writing trailer: No space left on device')")
    with pytest.raises(DiskFull, match=r"out\.mp4"):
        write(leftovers / "out.mp4", np.concatenate([moving] * 20))
    assert os.listdir(leftovers) == []


def test_the_last_line_of_a_dying_ffmpeg_is_told(moving, leftovers, fake_ffmpeg) -> None:
    fake_ffmpeg("sys.stderr.write('x' * 300_000 + chr(10)); sys.stdin.buffer.read(); sys.exit('it broke')")
    with pytest.raises(JobFailed, match="it broke"):
        write(leftovers / "out.mp4", moving)
    assert os.listdir(leftovers) == []


def test_a_hanging_ffmpeg_is_killed_on_abort(leftovers, fake_ffmpeg) -> None:
    fake_ffmpeg("import time; time.sleep(60)")
    children = set(psutil.Process().children())
    writer = VideoWriter(leftovers / "out.mp4", width=8, height=8, fps=NTSC)
    began = time.monotonic()
    with writer:
        writer.write(np.zeros((8, 8, 3), np.uint8))
        writer.abort()
    assert time.monotonic() - began < 10
    assert set(psutil.Process().children()) == children
    assert os.listdir(leftovers) == []


def test_a_full_disk_at_the_last_step_leaves_nothing(moving, leftovers, monkeypatch) -> None:
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskFull):
        write(leftovers / "out.mp4", moving)
    assert os.listdir(leftovers) == []


def test_without_ffmpeg_or_its_encoder_the_way_out_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ffmpeg, "candidates", lambda: ("/somewhere/ffmpeg",))
    monkeypatch.setattr(ffmpeg, "encoders_of", lambda _: frozenset({"mpeg4"}))
    with (
        pytest.raises(MissingRequirement, match=r"libx264.*imageio-ffmpeg"),
        VideoWriter(tmp_path / "a.mp4", width=64, height=64, fps=NTSC),
    ):
        pass
    monkeypatch.setattr(ffmpeg, "candidates", lambda: ())
    with pytest.raises(MissingRequirement, match="no FFmpeg"):
        ffmpeg.program_for("libx264")


def test_the_program_on_path_comes_first_if_it_can_do_the_work(tmp_path, monkeypatch, ffmpeg_exe) -> None:
    ours = tmp_path / "bin" / "ffmpeg"
    ours.parent.mkdir()
    shutil.copy(ffmpeg_exe, ours)
    monkeypatch.setenv("PATH", str(ours.parent))
    ffmpeg.candidates.cache_clear()
    try:
        assert ffmpeg.program_for("libx264") == str(ours)
        ours.write_text("#!/bin/sh\nexit 1\n")
        ffmpeg.encoders_of.cache_clear()
        assert ffmpeg.program_for("libx264") == ffmpeg_exe
    finally:
        monkeypatch.undo()
        ffmpeg.candidates.cache_clear()
        ffmpeg.encoders_of.cache_clear()

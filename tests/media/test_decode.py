import numpy as np
import pytest

from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.media import probe, read_frames

CODECS = {
    "closed.mp4": ("-c:v", "libx264", "-g", "12", "-bf", "3"),
    "open.mp4": ("-c:v", "libx264", "-x264-params", "open-gop=1:keyint=12:bframes=3"),
    "hevc.mp4": ("-c:v", "libx265", "-x265-params", "keyint=12:open-gop=1:log-level=none"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-g", "12", "-deadline", "realtime", "-cpu-used", "8"),
    "packed.avi": ("-c:v", "mpeg4", "-bf", "2", "-g", "12"),
    "stream.ts": ("-c:v", "libx264", "-g", "12"),
    "bare.h264": ("-c:v", "libx264", "-g", "12"),
    "picture.gif": (),
}
SHORT = "testsrc2=s=64x48:r=25:d=1.2"


@pytest.mark.parametrize("name", CODECS)
def test_a_frame_has_the_same_bytes_whatever_the_start(make, name) -> None:
    path = make(name, *CODECS[name], source=SHORT)
    info = probe(path)
    whole = list(read_frames(path, info=info))
    assert len(whole) == info.num_frames == 30
    for start in range(1, 30, 4):
        part = list(read_frames(path, start, start + 2, info=info))
        assert len(part) == min(2, 30 - start)
        for offset, frame in enumerate(part):
            np.testing.assert_array_equal(frame, whole[start + offset])


def test_a_window_is_clipped_to_the_clip(make) -> None:
    path = make("clip.mp4", "-c:v", "libx264", source=SHORT)
    assert len(list(read_frames(path, 25, 99))) == 5
    assert list(read_frames(path, 40)) == []
    assert list(read_frames(path, 5, 5)) == []


def test_decord_sees_the_same_pictures(make) -> None:
    """An independent reader agrees on the number of pictures, on seeking and on every byte of the fast path."""
    import decord

    path = make("clip.mp4", "-c:v", "libx264", "-g", "12", source=SHORT)
    other = decord.VideoReader(str(path), num_threads=1)
    ours = list(read_frames(path, accurate=False))
    assert len(other) == len(ours)
    for k in (17, 3, 29, 0):
        np.testing.assert_array_equal(other[k].asnumpy(), ours[k])


@pytest.mark.parametrize("angle", [90, 180, -90])
def test_frames_stand_upright(make, angle) -> None:
    stored = make("stored.mp4", "-c:v", "libx264", "-crf", "0", source=SHORT)
    turned = make("turned.mp4", "-c", "copy", source="", inputs=("-display_rotation", str(angle), "-i", str(stored)))
    plain, upright = next(read_frames(stored)), next(read_frames(turned))
    np.testing.assert_array_equal(upright, np.rot90(plain, angle // 90))  # FFmpeg's angle and numpy's run counter-clockwise


def test_a_mirrored_picture_is_mirrored(make) -> None:
    stored = make("stored.mp4", "-c:v", "libx264", "-crf", "0", source=SHORT)
    turned = make("turned.mp4", "-c", "copy", source="", inputs=("-display_hflip", "-i", str(stored)))
    np.testing.assert_array_equal(next(read_frames(turned)), next(read_frames(stored))[:, ::-1])


FLAGS = "scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
TAGS = {
    "untagged": (":out_color_matrix=bt601", "yuv420p", ()),
    "bt709": (":out_color_matrix=bt709", "yuv420p", ("-colorspace", "bt709")),
    "full range": (":out_color_matrix=bt709:out_range=pc", "yuv420p", ("-colorspace", "bt709", "-color_range", "pc")),
    "ten bits": (":out_color_matrix=bt709", "yuv444p10le", ("-colorspace", "bt709")),
}


@pytest.mark.parametrize("tag", TAGS)
def test_matrix_and_range_are_taken_as_tagged(make, psnr, astronaut, astronaut_rgb, tag) -> None:
    matrix, pixels, options = TAGS[tag]
    encoder = ("-pix_fmt", pixels, *options, "-c:v", "libx264", "-qp", "0")
    path = make("photo.mp4", "-vf", FLAGS + matrix, *encoder, source="", inputs=("-i", str(astronaut)))
    decoded = next(read_frames(path))
    assert psnr(decoded, astronaut_rgb) > (50 if "444" in pixels else 37.5)  # 4:2:0 cannot hold the colours of this photograph
    assert np.abs(decoded.astype(float).mean((0, 1)) - astronaut_rgb.mean((0, 1))).max() < 1.0


def test_the_accurate_way_loses_no_grey_level(make) -> None:
    source = "gradients=s=256x64:c0=black:c1=white:x0=0:y0=0:x1=255:y1=0:d=0.2:r=25:speed=0.00001"
    path = make("grey.mp4", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "0", source=source)
    accurate, fast = (next(read_frames(path, accurate=flag)).astype(float) for flag in (True, False))
    assert np.abs(accurate.max(2) - accurate.min(2)).max() <= 1  # grey stays grey
    assert fast.mean() < accurate.mean() - 0.3  # the fast way is darker


def damage(path, out, start: float, stop: float):
    """Overwrite a stretch of the file, given as parts of its length."""
    data = bytearray(path.read_bytes())
    low, high = int(start * len(data)), int(stop * len(data))
    data[low:high] = np.random.default_rng(3).integers(0, 256, high - low, np.uint8).tobytes()
    out.write_bytes(bytes(data))
    return out


@pytest.fixture(scope="session")
def noisy(make):
    """Three groups of 20 pictures that are hard to compress, so that the bytes are spread evenly over time."""
    source = "testsrc2=s=128x96:r=25:d=2.4,noise=alls=20:allf=t"
    return make("noisy.mp4", "-c:v", "libx264", "-g", "20", "-movflags", "+faststart", "-crf", "20", source=source)


def test_a_damaged_stretch_repeats_the_last_good_frame(noisy, tmp_path) -> None:
    path = damage(noisy, tmp_path / "damaged.mp4", 0.45, 0.5)
    clean, reader = list(read_frames(noisy)), read_frames(path)
    frames = list(reader)
    assert len(frames) == len(clean) == 60
    assert 0 < reader.repeated < 25
    np.testing.assert_array_equal(frames[10], clean[10])
    np.testing.assert_array_equal(frames[-1], clean[-1])  # the next group of pictures is whole again
    held = [k for k in range(1, 60) if np.array_equal(frames[k], frames[k - 1])]
    assert len(held) == reader.repeated


def test_damage_looks_the_same_whatever_the_start(noisy, tmp_path) -> None:
    path = damage(noisy, tmp_path / "damaged.mp4", 0.3, 0.5)
    whole = list(read_frames(path))
    for start in (5, 18, 22, 27, 33, 41):
        np.testing.assert_array_equal(next(read_frames(path, start)), whole[start])


def test_a_damaged_beginning_shows_the_first_good_picture(noisy, tmp_path) -> None:
    path = damage(noisy, tmp_path / "damaged.mp4", 0.06, 0.34)
    frames = list(read_frames(path))
    good = next(read_frames(path, 45))
    assert len(frames) == 60
    np.testing.assert_array_equal(frames[45], good)
    np.testing.assert_array_equal(frames[45], list(read_frames(noisy))[45])


def test_nothing_but_damage_is_refused(noisy, tmp_path) -> None:
    data = noisy.read_bytes()
    begin = data.index(b"mdat") + 4  # behind it lie the pictures, and nothing else
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data[:begin] + np.random.default_rng(3).bytes(len(data) - begin))
    with pytest.raises(UnreadableInput, match=r"no picture in .*damaged\.mp4"):
        read_frames(path)


def test_a_repeated_frame_is_the_callers_own(make) -> None:
    path = make("vfr.mp4", "-vf", "select='not(eq(n,3))'", "-fps_mode", "vfr", "-c:v", "libx264", source=SHORT)
    reader = read_frames(path, 2, 4)
    first = next(reader)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(next(reader), kept)


def test_leaving_early_closes_the_file(make) -> None:
    import psutil

    path = make("clip.mp4", "-c:v", "libx264", source=SHORT)
    with read_frames(path) as reader:
        next(reader)
        assert any(file.path == str(path) for file in psutil.Process().open_files())
    assert not any(file.path == str(path) for file in psutil.Process().open_files())

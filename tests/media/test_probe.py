from fractions import Fraction

import pytest

from dreamactor_cli.errors import NoStream, UnreadableInput, UnsafeInput
from dreamactor_cli.media import is_video, probe
from dreamactor_cli.media import probe as probe_function


def test_a_plain_clip(face_clip) -> None:
    info = probe(face_clip.path)
    assert (info.width, info.height, info.fps, info.num_frames) == (256, 256, face_clip.fps, face_clip.num_frames)
    assert info.duration == Fraction(38, 25)
    assert (info.codec, info.audio_codec, info.pixel_format) == ("h264", "aac", "yuv420p")
    assert (info.rotation, info.variable_rate, info.warnings) == (0, False, ())


@pytest.mark.parametrize(("angle", "turn", "size"), [(90, 270, (48, 64)), (180, 180, (64, 48)), (-90, 90, (48, 64))])
def test_rotation_is_honoured_and_said(make, angle, turn, size) -> None:
    stored = make("stored.mp4", "-c:v", "libx264")
    turned = make("turned.mp4", "-c", "copy", source="", inputs=("-display_rotation", str(angle), "-i", str(stored)))
    info = probe(turned)
    assert (info.rotation, (info.width, info.height)) == (turn, size)
    assert any("rotation" in line and str(turn) in line for line in info.warnings)


def test_a_variable_rate_is_said(make) -> None:
    path = make("vfr.mp4", "-vf", "select='not(eq(n,3)+eq(n,4))'", "-fps_mode", "vfr", "-c:v", "libx264")
    info = probe(path)
    assert info.variable_rate
    assert any("variable frame rate" in line for line in info.warnings)


def test_a_file_that_ends_early_keeps_its_readable_part_and_says_so(make, tmp_path) -> None:
    whole = make("whole.mp4", "-c:v", "libx264", "-movflags", "+faststart", source="testsrc2=s=320x240:r=25:d=4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    info = probe(cut)
    assert 10 < info.num_frames < 90
    assert any("ends early" in line for line in info.warnings)


@pytest.mark.parametrize("name", ["-dash.mp4", "sp ace 'quote\".mp4", "100%d.mp4", "a:b.mp4", "żółć 映画.mp4"])
def test_any_name_works(make, tmp_path, monkeypatch, name) -> None:
    path = tmp_path / name
    path.write_bytes(make("clip.mp4", "-c:v", "libx264").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(type(path)(name)).num_frames == 60


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"just text, no video\n" * 50, "not a video"), (b"\0\0\0\x20ftypisom" + bytes(500), "cut off")],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, content, words) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=rf"bad\.mp4.*{words}"):
        probe(path)
    assert not is_video(path)


def test_missing_files_and_folders_are_refused(tmp_path) -> None:
    with pytest.raises(UnreadableInput, match="not found"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(UnreadableInput, match="not a file"):
        probe(tmp_path)


def test_sound_alone_is_no_video(bursts) -> None:
    with pytest.raises(NoStream):
        probe(bursts)
    assert not is_video(bursts)


def test_a_cover_picture_is_no_video(make, bursts, astronaut) -> None:
    options = ("-map", "0:a", "-map", "1:v", "-c:a", "libmp3lame", "-c:v", "mjpeg", "-disposition:v", "attached_pic")
    song = make("song.mp3", *options, source="", inputs=("-i", str(bursts), "-i", str(astronaut)))
    assert not is_video(song)


def test_a_playlist_opens_no_other_file(make, tmp_path) -> None:
    clip = make("clip.ts", "-c:v", "libx264")
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:{clip}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnreadableInput):
        probe(playlist)
    concat = tmp_path / "concat.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile {clip}\n")
    with pytest.raises(UnreadableInput):
        probe(concat)


def test_content_counts_and_not_the_name(make, tmp_path, astronaut) -> None:
    disguised = tmp_path / "clip.png"
    disguised.write_bytes(make("clip.mp4", "-c:v", "libx264").read_bytes())
    assert is_video(disguised)
    assert not is_video(astronaut)


def test_giant_pictures_are_refused_before_decoding(make, monkeypatch) -> None:
    module = __import__(probe_function.__module__, fromlist=["MAX_PIXELS"])
    monkeypatch.setattr(module, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(UnsafeInput, match="64x48"):
        probe(make("clip.mp4", "-c:v", "libx264"))

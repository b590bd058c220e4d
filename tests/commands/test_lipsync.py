"""The command: a picture speaks, a video says something else, and what cannot be done is said."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli import lipsync
from dreamactor_cli.media import probe, read_frames, read_sound
from dreamactor_cli.media.mux import sound_of


@pytest.fixture(scope="module")
def speech(tmp_path_factory, ffmpeg_exe) -> Path:
    """1.28 s of a tone that comes and goes four times a second, AAC."""
    import subprocess

    path = tmp_path_factory.mktemp("speech") / "voice.m4a"
    sound = "aevalsrc='0.4*sin(2*PI*180*t)*max(sin(2*PI*4*t),0)+0.1*random(0)*max(-sin(2*PI*4*t),0)':s=44100:d=1.28"
    subprocess.run([ffmpeg_exe, "-loglevel", "error", "-f", "lavfi", "-i", sound, "-c:a", "aac", str(path)], check=True)
    return path


def test_a_picture_speaks_as_long_as_the_sound_with_the_sound(cli, astronaut, speech, leftovers, monkeypatch) -> None:
    monkeypatch.chdir(leftovers)
    ended = cli("--json", "lipsync", "-s", astronaut, "-a", speech, "--size", "128x128", "--seed", 3)
    assert ended.code == 0, ended.err
    (record,) = ended.records()
    out = leftovers / "astronaut_voice.mp4"
    assert record["output"] == "astronaut_voice.mp4"
    info = probe(out)
    assert (info.num_frames, info.fps, info.width, info.height) == (32, 25, 128, 128)
    assert sound_of(out).codec == "aac"
    told = json.loads(Path(f"{out}.json").read_text("utf-8"))
    assert told["inputs"]["audio"] == "voice.m4a"
    assert told["made_from"]["kind"] == "lipsync"
    assert told["made_from"]["seed"] == 3
    assert len(told["made_from"]["speech"]) == 64
    again = cli("--json", "lipsync", "-s", astronaut, "-a", speech, "--size", "128x128", "--seed", 3)
    assert again.records()[0]["status"] == "skipped"


def test_the_sound_is_copied_packet_by_packet(astronaut, speech, tmp_path, shared_cache) -> None:
    import av

    out = tmp_path / "out.mp4"
    lipsync(astronaut, speech, out, size="96x96", cache_dir=shared_cache.root)

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    mine, given = packets(out), packets(speech)
    assert len(mine) >= len(given) - 2
    assert mine == given[: len(mine)]


def test_the_mouth_moves_and_the_same_run_gives_the_same_bytes(astronaut, speech, tmp_path, shared_cache) -> None:
    results = [
        lipsync(astronaut, speech, tmp_path / f"{k}.mp4", size="128x128", head_motion=0, cache_dir=shared_cache.root)
        for k in (0, 1)
    ]
    assert results[0].sha256 == results[1].sha256
    frames = np.stack(list(read_frames(tmp_path / "0.mp4"))).astype(int)
    movement = np.abs(np.diff(frames, axis=0)).max(3).max(0)
    assert movement.max() > 15


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "opus"), (".mov", "aac")])
def test_other_containers_carry_the_sound(cli, astronaut, speech, tmp_path, suffix, codec) -> None:
    out = tmp_path / f"out{suffix}"
    ended = cli("lipsync", "-s", astronaut, "-a", speech, "--size", "64x64", "--duration", "0.4", "-d", "motion:nod", "-o", out)
    assert ended.code == 0, ended.err
    assert probe(out).num_frames == 10
    assert codec in sound_of(out).codec


def test_silence_gives_a_resting_face_and_a_word_about_it(cli, astronaut, tmp_path, ffmpeg_exe) -> None:
    import subprocess

    silent = tmp_path / "silent.wav"
    subprocess.run([ffmpeg_exe, "-loglevel", "error", "-f", "lavfi", "-i", "anullsrc=d=0.6", str(silent)], check=True)
    ended = cli("lipsync", "-s", astronaut, "-a", silent, "--size", "96x96", "-o", tmp_path / "out.mp4")
    assert ended.code == 0
    assert "silent.wav is silent" in ended.err
    assert probe(tmp_path / "out.mp4").num_frames == 15


def test_a_video_is_dubbed(cli, face_clip, speech, tmp_path) -> None:
    out = tmp_path / "dubbed.mp4"
    ended = cli("--json", "lipsync", "-s", face_clip.path, "-a", speech, "-o", out)
    assert ended.code == 0, ended.err
    info = probe(out)
    assert (info.num_frames, info.fps, info.width, info.height) == (32, face_clip.fps, face_clip.width, face_clip.height)
    mine = np.concatenate(list(read_sound(out)))
    given = np.concatenate(list(read_sound(speech)))
    size = min(len(mine), len(given))
    assert np.corrcoef(mine[:size], given[:size])[0, 1] > 0.95
    first, own = next(read_frames(out)).astype(int), next(read_frames(face_clip.path)).astype(int)
    assert np.abs(first[:80] - own[:80]).mean() < 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("-a", "nothing.wav"), 4, "nothing.wav"),
        (("-a", "MUTE"), 4, "has no sound"),
        (("-a", "SOUND", "--motion-ends", "fly"), 2, "--motion-ends fly"),
        (("-a", "SOUND", "--head-motion", "3"), 2, "--head-motion 3"),
        (("-a", "SOUND", "--speech-encoder", "ears"), 2, "--speech-encoder ears"),
        (("-a", "SOUND", "--speech-encoder", "whisper:tiny"), 3, "tiny"),
        (("-a", "SOUND", "--captions", "srt"), 3, "whisper"),
        (("-a", "SOUND", "--start", "99"), 2, "empty"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_stays(
    cli, astronaut, speech, face_clip, encode_clip, leftovers, monkeypatch, arguments, code, says
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(leftovers))
    mute = leftovers / "mute.mp4"
    encode_clip(mute, face_clip.frames[:2], Fraction(25))
    named = [str(mute) if a == "MUTE" else str(speech) if a == "SOUND" else a for a in arguments]
    ended = cli("lipsync", "-s", astronaut, *named, "--size", "64x64", "-o", leftovers / "out.mp4")
    assert ended.code == code, ended.err
    assert says.lower() in ended.last_line.lower()
    assert not (leftovers / "out.mp4").exists()


def test_bad_sounds_are_taken_or_refused_as_expected(cli, astronaut, shared_media, tmp_path) -> None:
    """Frames of the sounds of the media set at 5 frames/s: the sound's length, whatever its container."""
    lengths = {"rate_8k.wav": 4.0, "surround_7_1.wav": 1.6, "left_only.wav": 2.5, "short_40ms.wav": 0.04, "float32.wav": 3.0}
    for name, seconds in lengths.items():
        out = tmp_path / f"{name}.mp4"
        ended = cli("lipsync", "-s", astronaut, "-a", shared_media / "bad" / name, "--size", "64x64", "--fps", 5, "-o", out)
        assert ended.code == 0, ended.err
        assert probe(out).num_frames == max(1, round(5 * seconds)), name
    ended = cli("lipsync", "-s", astronaut, "-a", shared_media / "bad" / "text.wav", "-o", tmp_path / "x.mp4")
    assert ended.code == 4
    assert "text.wav" in ended.last_line

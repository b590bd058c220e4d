"""How well a portrait moves: every figure of the quality table, against a static copy and a 2D affine face warp.

    python bench/portrait.py [--only talk_en_may,portrait_man_curly,...] [--max-frames 200] [--jobs 1] [--mode self|cross|both]

Self mode: the first frame of each clip of ``media/portrait`` is moved by that clip and compared with it by the ruler of the
shared folder (``eval/reenact_eval.py``). ``gain`` is dB over a static copy of the first frame; the affine baseline is drawn and
judged in the same run. Cross mode: four pictures of other people by three drivers; motion is judged against the driver.
Gaze counts where the ruler can tell it: it judges the clip itself, turned in its plane by two degrees, and where it does not
find the gaze of the same eyes again with r >= .95, that of a render says nothing (`gaze_noisy`; `gaze_again` is that r).
The tool runs with its defaults: no pixel of the driver gets into the result. ``--only`` takes names of clips and pictures
(a picture alone: with all three drivers). The renders stay in ``--work`` to be looked at.

Not measured here: speed (`speed.py`), and whatever only an eye sees: teeth, seams, a background that is wrong but still.
Exit codes: 0 all bars met, 1 some missed or a run failed, 3 no shared media.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import (
    MEDIA,
    RESULTS,
    RULER,
    first_frame,
    must,
    need,
    options,
    print_table,
    tool,
    verdict,
    video_facts,
    write_results,
)

PICTURES = ("portrait_man_curly", "portrait_woman_half", "illus_cartoon_man", "half_man_beard")
DRIVERS = ("talk_en_may", "expr_man_neutral_mouth", "expr_woman_strong")
CLIP_NAMES = ("talk_*", "expr_*")
IMAGE_FRAMES = 60
TURN = "rotate=2*PI/180:fillcolor=gray"  # what changes no gaze relative to the head, and no angle between two bones
GAZE_AGAIN = 0.95
Figures = dict[str, float | None]

# Where the ruler's report holds each figure.
REPORTED = {
    "face_gain": "image.face.gain.psnr",
    "ring_gain": "image.ring.gain.psnr",
    "frame_gain": "image.frame.gain.psnr",
    "sharpness_clip": "image.face.produced.sharpness_ratio",
    "sharpness_picture": "identity.sharpness_ratio",
    "mouth_r": "expression.mouth_open.r",
    "mouth_slope": "expression.mouth_open.gain",
    "gaze_r": "expression.gaze_x.r",
    "gaze_slope": "expression.gaze_x.gain",
    "yaw": "head_pose.yaw.mae_deg",
    "pitch": "head_pose.pitch.mae_deg",
    "roll": "head_pose.roll.mae_deg",
    "bg_flicker": "temporal.bg_flicker",
    "face_missing": "face_missing",
    "shape_error": "identity.shape_err",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A figure and what it has to be, at the mean and at the worst clip; without limits only its mean is told."""

    key: str
    label: str
    low: float | None = None
    high: float | None = None
    low_worst: float | None = None

    def met(self, value: float, *, worst: bool = False) -> bool | None:
        """Whether a value is good enough; None if there is no bar."""
        low = self.low_worst if worst and self.low_worst is not None else self.low
        if low is None and self.high is None:
            return None
        return (low is None or value >= low) and (self.high is None or value <= self.high)

    def margin(self, value: float) -> float:
        """How far a value is on the good side; the smallest is the worst."""
        sides = [value - self.low] if self.low is not None else []
        sides += [self.high - value] if self.high is not None else []
        return min(sides, default=0.0)

    def text(self) -> str:
        """The bar as a person writes it."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} .. {self.high:g}"
        if self.low is None:
            return "" if self.high is None else f"<= {self.high:g}"
        return f">= {self.low:g}" + ("" if self.low_worst is None else f" / >= {self.low_worst:g}")


EXACT = (
    Bar(key="frame_diff", label="frames too many", low=0, high=0),
    Bar(key="rate_diff", label="frame rate off, frames/s", low=-0.005, high=0.005),
    Bar(key="sound_lost", label="sound lost", low=0, high=0),
    Bar(key="sound_lag", label="sound behind, ms", low=-1, high=1),
)
SELF_BARS = (
    Bar(key="face_gain", label="face gain, dB", low=3.8, low_worst=1.0),
    Bar(key="face_over_affine", label="face gain over affine2d, dB", low=0.0),
    Bar(key="ring_gain", label="ring gain, dB", low=2.0, low_worst=-0.3),
    Bar(key="frame_gain", label="frame gain, dB"),
    Bar(key="sharpness_clip", label="sharpness, to the clip", low=0.75),
    Bar(key="sharpness_picture", label="sharpness, to the picture", low=0.75),
    Bar(key="mouth_r", label="mouth-open r", low=0.97),
    Bar(key="mouth_slope", label="mouth-open slope", low=0.85, high=1.15),
    Bar(key="gaze_r", label="gaze-x r", low=0.95),
    Bar(key="gaze_slope", label="gaze-x slope", low=0.7),
    Bar(key="yaw", label="yaw error, degrees", high=1.0),
    Bar(key="pitch", label="pitch error, degrees", high=1.3),
    Bar(key="roll", label="roll error, degrees", high=0.4),
    Bar(key="jitter", label="jitter / driver's", high=1.0),
    Bar(key="bg_flicker", label="background flicker", high=0.05),
    *EXACT,
)
CROSS_BARS = (
    Bar(key="mouth_r", label="mouth-open r", low=0.95),
    Bar(key="mouth_slope", label="mouth-open slope", low=0.85, high=1.15),
    Bar(key="gaze_r", label="gaze-x r"),
    Bar(key="gaze_slope", label="gaze-x slope"),
    Bar(key="sharpness_picture", label="sharpness, to the picture"),
    Bar(key="shape_error", label="shape of the face, error"),
    Bar(key="jitter", label="jitter / driver's"),
    Bar(key="bg_flicker", label="background flicker"),
    *EXACT,
)
SHOWN_SELF = ("face_gain", "affine_face_gain", "ring_gain", "sharpness_clip", "sharpness_picture", "mouth_r", "mouth_slope",
              "gaze_r", "gaze_slope", "gaze_noisy", "gaze_again", "yaw", "pitch", "roll", "jitter", "bg_flicker", "frame_diff",
              "sound_lag")  # fmt: skip
SHOWN_CROSS = ("mouth_r", "mouth_slope", "gaze_r", "gaze_slope", "sharpness_picture", "shape_error", "jitter", "bg_flicker",
               "frame_diff", "sound_lag")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One render and its figures; ``error`` instead where something failed."""

    name: str
    figures: Figures
    error: str = ""


class Measurement:
    """Renders and judges single clips.

    Args:
        work: folder of renders, of the tool's cache and of the ruler's tracking.
    """

    def __init__(self, work: Path, max_frames: int, *, baseline: bool) -> None:
        self.work = work
        self.max_frames = max_frames
        self.baseline = baseline
        work.mkdir(parents=True, exist_ok=True)

    def self_mode(self, clip: Path) -> Row:
        """A clip drives its own first frame."""
        reference = first_frame(clip, self.work / f"{clip.stem}.png")
        made = self.work / f"self_{clip.stem}.mp4"
        self.animate(reference, clip, made)
        figures = self.judge(made, clip, reference, "self")
        if figures["gaze_r"] is not None:
            figures |= self.gaze_again(clip, reference)
            if (figures["gaze_again"] or 0) < GAZE_AGAIN:
                figures |= {"gaze_noisy": figures["gaze_r"], "gaze_r": None, "gaze_slope": None}
        if self.baseline:
            affine = self.work / f"affine2d_{clip.stem}.mp4"
            command = ["affine2d", str(reference), str(clip), str(affine), "--max-frames", str(self.max_frames)]
            must(self.ruler("baselines.py", *command, "--cache", self.work / "tracking"))
            other = self.judge(affine, clip, reference, "self")
            figures |= {f"affine_{key}": other[key] for key in ("face_gain", "ring_gain", "frame_gain")}
            figures["face_over_affine"] = minus(figures["face_gain"], other["face_gain"])
        return Row(name=clip.stem, figures=figures)

    def gaze_again(self, clip: Path, reference: Path) -> Figures:
        """How well the ruler agrees with itself on the gaze of a clip, whatever is rendered."""
        turned = turned_clip(clip, self.work / f"turned_{clip.stem}.mp4", self.max_frames)
        return {"gaze_again": self.judge(turned, clip, reference, "cross")["gaze_r"]}

    def cross_mode(self, picture: Path, clip: Path) -> Row:
        """A clip drives the picture of somebody else."""
        made = self.work / f"cross_{picture.stem}_{clip.stem}.mp4"
        self.animate(picture, clip, made)
        return Row(name=f"{picture.stem} by {clip.stem}", figures=self.judge(made, clip, picture, "cross"))

    def animate(self, picture: Path, clip: Path, made: Path) -> None:
        """Render as a user does, no more frames than are judged."""
        seconds = self.max_frames / video_facts(clip).fps
        must(
            tool(
                "animate", "-s", picture, "-d", clip, "-o", made, "--duration", f"{float(seconds):.6f}", "--overwrite", "--quiet",
                cache=self.work / "cache",
            )
        )  # fmt: skip

    def judge(self, made: Path, clip: Path, reference: Path, mode: str) -> Figures:
        """The ruler's figures of one render."""
        report = made.with_suffix(".ruler.json")
        must(
            self.ruler(
                "reenact_eval.py", made, clip, reference, "--mode", mode, "--max-frames", str(self.max_frames),
                "--image-frames", str(IMAGE_FRAMES), "--cache", self.work / "tracking", "--out", report,
            )
        )  # fmt: skip
        found = json.loads(report.read_text(encoding="utf-8"))
        figures = figures_of(found)
        if figures["sound_lag"] is not None:  # the ruler counts from the start of a file; ours begins with the first picture
            figures["sound_lag"] += 1000.0 * first_picture(clip)
        return figures | {"frame_diff": float(video_facts(made).frames - found["timing"]["driving_frames"])}

    @staticmethod
    def ruler(script: str, *arguments: str | Path) -> list[str]:
        """The command line of a script of the ruler."""
        return [sys.executable, str(RULER / script), *map(str, arguments)]


def turned_clip(clip: Path, made: Path, frames: int) -> Path:
    """Write the first frames of a clip turned by two degrees in its plane: the same motion, to be measured once more."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", str(clip), "-frames:v", str(frames), "-an"]
    must([*command, "-vf", TURN, "-crf", "12", "-pix_fmt", "yuv420p", str(made)])
    return made


def first_picture(clip: Path) -> float:
    """Seconds from the start of a file to its first picture."""
    import av

    with av.open(str(clip)) as file:
        picture = file.streams.video[0]
        started = picture.start_time * picture.time_base if picture.start_time is not None and picture.time_base else 0
        return float(started) - (file.start_time or 0) / av.time_base


def figures_of(report: Mapping[str, Any]) -> Figures:
    """What the table shows, out of a report of the ruler; None where the driver does not move that signal."""
    figures: Figures = {key: pick(report, where) for key, where in REPORTED.items()}
    temporal, timing = report["temporal"], report["timing"]
    own, driving = temporal["face_hf_jitter"], temporal["face_hf_jitter_driving"]
    figures["jitter"] = own / driving if own is not None and driving else None
    figures["rate_diff"] = minus(timing["fps_produced"], timing["fps_driving"])
    figures["sound_lost"] = float(timing["audio_driving"] and not timing["audio_produced"])
    lag = timing.get("audio_lag_s")
    figures["sound_lag"] = None if lag is None else 1000.0 * lag
    return figures


def pick(report: Mapping[str, Any], where: str) -> float | None:
    """A number deep in a report, or None."""
    found: Any = report
    for key in where.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if found is None else float(found)


def minus(a: float | None, b: float | None) -> float | None:
    """A difference, if both are there."""
    return None if a is None or b is None else a - b


def summary(rows: Sequence[Row], bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """Mean and worst of each figure against its bar; a figure that no clip has is left out."""
    lines: list[dict[str, Any]] = []
    for bar in bars:
        values = [(value, row.name) for row in rows if (value := row.figures.get(bar.key)) is not None]
        if not values:
            continue
        mean = sum(value for value, _ in values) / len(values)
        line = {"figure": bar.label, "bar": bar.text(), "clips": len(values), "mean": mean, "mean_met": bar.met(mean)}
        if bar.text():
            worst, name = min(values, key=lambda pair: bar.margin(pair[0]))
            line |= {"worst": worst, "worst_met": bar.met(worst, worst=True), "worst_clip": name}
        lines.append(line)
    return lines


def show(title: str, rows: Sequence[Row], shown: Sequence[str], bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """Print the clips, then the bars."""
    print_table(f"{title}, clips", ("clip", *shown), [(row.name, *(row.figures.get(key) for key in shown)) for row in rows])
    for row in rows:
        if row.error:
            print(f"FAIL {row.name}: {row.error}")
    lines = summary(rows, bars)
    print_table(
        f"{title}, bars",
        ("figure", "bar", "clips", "mean", "", "worst", "", "worst clip"),
        [
            (line["figure"], line["bar"], line["clips"], line["mean"], verdict(line["mean_met"]), line.get("worst"),
             verdict(line.get("worst_met")), line.get("worst_clip", ""))
            for line in lines
        ],
    )  # fmt: skip
    return lines


def attempt(name: str, measure: Callable[[], Row]) -> Row:
    """Measure one clip; what fails is a row too."""
    try:
        row = measure()
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        row = Row(name=name, figures={}, error=f"{type(error).__name__}: {error}")
    print(f"{name}: {row.error or 'judged'}", file=sys.stderr, flush=True)
    return row


def wanted(chosen: argparse.Namespace) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Clips of self mode, and pairs of cross mode."""
    names = set(filter(None, chosen.only.split(",")))
    folder = MEDIA / "portrait"
    clips = sorted(p for p in folder.iterdir() if any(fnmatch.fnmatch(p.name, pattern) for pattern in CLIP_NAMES))
    drivers = [clip for clip in clips if clip.stem in DRIVERS]
    pictures = sorted(p for p in (MEDIA / "photo").iterdir() if p.stem in PICTURES)
    if names:
        known = {p.stem for p in (*clips, *pictures)}
        if names - known:
            raise SystemExit(f"no such clip or picture: {', '.join(sorted(names - known))}; there are {', '.join(sorted(known))}")
        pictures = [p for p in pictures if p.stem in names]
        drivers = [clip for clip in drivers if clip.stem in names] or drivers
        clips = [clip for clip in clips if clip.stem in names]
    pairs = [(picture, driver) for picture in pictures for driver in drivers]
    return (clips if chosen.mode != "cross" else []), (pairs if chosen.mode != "self" else [])


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = options(__doc__ or "")
    made.add_argument("--only", default="", help="names of clips and pictures without suffix, by commas")
    made.add_argument("--mode", choices=("self", "cross", "both"), default="both")
    made.add_argument("--max-frames", type=int, default=200, help="frames of each clip")
    made.add_argument("--jobs", type=int, default=1, help="clips at a time")
    made.add_argument("--work", type=Path, default=RESULTS / "portrait", help="where the renders stay")
    made.add_argument("--keep-cache", action="store_true", help="use the controls of the last run (wrong after a change of them)")
    made.add_argument("--no-baseline", action="store_true", help="leave affine2d out")
    return made


def main() -> int:
    """Run the measurement."""
    chosen = parser().parse_args()
    need(MEDIA / "portrait", MEDIA / "photo", RULER)
    clips, pairs = wanted(chosen)
    work = chosen.work.resolve()
    if not chosen.keep_cache:
        shutil.rmtree(work / "cache", ignore_errors=True)
    measurement = Measurement(work, chosen.max_frames, baseline=not chosen.no_baseline)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        own = [pool.submit(attempt, c.stem, lambda c=c: measurement.self_mode(c)) for c in clips]  # type: ignore[misc]
        across = [
            pool.submit(attempt, f"{p.stem} by {c.stem}", lambda p=p, c=c: measurement.cross_mode(p, c))  # type: ignore[misc]
            for p, c in pairs
        ]
        rows, crossed = [f.result() for f in own], [f.result() for f in across]
    lines = show("self mode", rows, SHOWN_SELF, SELF_BARS) if rows else []
    crossed_lines = show("cross mode", crossed, SHOWN_CROSS, CROSS_BARS) if crossed else []
    failed = sum(bool(row.error) for row in (*rows, *crossed))
    missed = [line["figure"] for line in (*lines, *crossed_lines) if False in (line["mean_met"], line.get("worst_met"))]
    print(f"\n{len(missed)} bars missed at the mean or at the worst clip, {failed} runs failed")
    write_results(
        "portrait",
        {
            "max_frames": chosen.max_frames,
            "self": {row.name: row.figures | {"error": row.error} for row in rows},
            "cross": {row.name: row.figures | {"error": row.error} for row in crossed},
            "self_bars": lines,
            "cross_bars": crossed_lines,
        },
    )
    return 1 if missed or failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

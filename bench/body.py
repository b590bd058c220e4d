"""How well a body moves: every figure of the table for half-length and full-body pictures, against a static copy and rigid limbs.

    python bench/body.py [--only dance_woman_1080x1920,...] [--frames 48] [--rate 24] [--mode self|cross|speed|all]

Self mode: the first frame of each clip of ``media/half`` and ``media/full`` is moved by that clip, cut to a few seconds and to
768 px of the longer side, and judged by the ruler of the shared folder (``eval/reenact_eval.py --body on``). Baselines of the
same run: a static copy, and rigid limbs, the same skeleton with the pixels nearest to each bone moved by its own similarity.
Cross mode: eight pictures by four clips; joint angles are judged against the driver, and a sheet of all of them is drawn.
Joint angles count where the ruler can tell them: before anything is rendered it judges the clip itself, turned in its plane by
two degrees, and where it does not find the angle of the same joint again with r >= .95, that of a render says nothing. A clip
in which it does not see the turned body in a tenth of the frames says nothing of joints at all. What is left out is printed;
``joint_r_plain`` leaves nothing out, and ``joint_r_again`` is what the clip itself reaches there.
A clip is cut at about its own rate: at half of it signing arms turn by 170 degrees from one frame to the next, and nobody can
tell which way round. ``cracks`` are holes in the drawn person, enclosed and smaller than a hundredth of it, as a share of it.
The bars of PCK are those of full-body clips; of half-length ones it is printed as ``other_pck``.
``--only`` takes names of clips and pictures. The renders stay in ``--work`` to be looked at.

Not measured here: whatever only an eye sees, and how it looks from the other side: look at the sheets.
Exit codes: 0 all bars met, 1 some missed or a run failed, 3 no shared media.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from body_frames import LONGER_SIDE, U8, cracks, drawn, framed, inputs, rigid_limbs, write_video
from common import MEDIA, RESULTS, RULER, first_frame, must, need, options, print_table, tool, write_results
from portrait import Bar, Figures, Measurement, Row, attempt, minus, pick, show, turned_clip

# Where a clip begins to move, seconds; others begin at 0. (The camera of sign_book gives its first picture twice: judged against
# that, whatever moves at all is 25 dB worse than the static copy, which is that picture. At 3.0 the tai-chi is a blur with
# crossed arms. Before 2.08 the walker is in profile, and turns by 90 degrees, further than a torso can.)
STARTS = {
    "dance_woman_1080x1920": 3.0,
    "taichi_man_indoor": 3.5,
    "squats_woman_5fps": 5.0,
    "sign_book_woman": 0.067,
    "walk_ball_man_12fps": 2.08,
}
LEFT_OUT = ("ted_man_gesture_256", "taichi_man_256_10fps")  # too small to see what moves
PICTURES = ("full_woman_studio", "full_man_suit", "full_yoga_beach", "half_synthetic_openhands", "half_astronaut_nasa",
            "half_woman_afro", "half_man_beard", "paint_mona_lisa")  # fmt: skip
DRIVERS = ("dance_woman_1080x1920", "squats_woman_5fps", "talk_gesture_man_seated", "sign_want_man_plaid")
SPEED_PICTURE, SPEED_CLIP, SPEED_SIZE = "full_woman_studio", "dance_woman_1080x1920", "512x768"
SHEET_FRAMES, SHEET_HEIGHT = 4, 240
AGAIN = 0.95  # r of a joint of the clip itself, measured twice, from which it is told
LOST = 0.1  # share of the frames of the turned clip without a body, beyond which nothing of it is told
JOINTS = ("elbow_l", "elbow_r", "shoulder_l", "shoulder_r", "hip_l", "hip_r", "knee_l", "knee_r")

REPORTED = {
    "pck": "body.pck.all", "pck_arms": "body.pck.arms", "pck_hands": "body.pck.hands", "pck_legs": "body.pck.legs",
    "joint_r_plain": "body.joint_mean_r", "person_gain": "image.person.gain.psnr",
    "frame_gain": "image.frame.gain.psnr", "face_gain": "image.face.gain.psnr", "pose_missing": "body.pose_missing",
}  # fmt: skip
PCK = ("pck", "pck_arms", "pck_hands", "pck_legs")
SELF_BARS = (
    Bar(key="pck", label="PCK@0.1, all", low=0.90, low_worst=-1.0),
    Bar(key="pck_arms", label="PCK@0.1, arms", low=0.88, low_worst=-1.0),
    Bar(key="pck_hands", label="PCK@0.1, hands", low=0.75, low_worst=-1.0),
    Bar(key="pck_legs", label="PCK@0.1, legs", low=0.92, low_worst=-1.0),
    *(Bar(key=f"other_{key}", label=f"other clips, {key}") for key in PCK),
    Bar(key="joint_r", label="joint-angle r", low=0.95, low_worst=-1.0),
    Bar(key="joint_r_plain", label="joint-angle r, all that move"),
    Bar(key="joint_r_again", label="joint-angle r of the clips, measured twice"),
    Bar(key="person_gain", label="person gain, dB", low=1.2, low_worst=0.0),
    Bar(key="face_over_portrait", label="face gain over the portrait path, dB", low=-0.5, low_worst=-9.0),
    Bar(key="cracks", label="cracks, % of the person", high=0.5),
)  # fmt: skip
CROSS_BARS = (
    Bar(key="joint_r", label="joint-angle r", low=0.93, low_worst=-1.0),
    Bar(key="joint_r_plain", label="joint-angle r, all that move"),
    Bar(key="cracks", label="cracks, % of the person", high=0.5),
)
SPEED_BARS = (
    Bar(key="fps", label="frames/s, 512x768, drawn", low=25.0),
    Bar(key="tool_fps", label="frames/s, the whole command, warm"),
)
SHOWN_SELF = ("pck", "static_pck", "limbs_pck", "pck_arms", "pck_hands", "pck_legs", "other_pck", "other_pck_hands", "joint_r",
              "joint_r_plain", "joint_r_again", "limbs_joint_r", "person_gain", "limbs_person_gain", "frame_gain", "face_gain",
              "face_over_portrait", "cracks")  # fmt: skip


class BodyMeasurement(Measurement):
    """Renders and judges clips of bodies.

    Args:
        work: folder of renders, of the tool's cache and of the ruler's tracking.
        frames: of each clip.
        rate: at which a clip is cut, frames/s; a slower one keeps its own.
    """

    def __init__(self, work: Path, frames: int, rate: int) -> None:
        super().__init__(work, frames, baseline=True)
        self.rate = rate
        self.again: dict[str, Figures] = {}  # of each clip, what the ruler finds in it again

    def cut(self, clip: Path) -> Path:
        """The seconds of a clip that are judged, small."""
        from imageio_ffmpeg import get_ffmpeg_exe

        made = self.work / f"{clip.stem}.mp4"
        if not made.exists():
            scale = f"scale='if(gt(iw,ih),{LONGER_SIDE},-2)':'if(gt(iw,ih),-2,{LONGER_SIDE})'"
            rate = [] if clip.stem.endswith("fps") else [f"fps={self.rate}"]
            must([
                get_ffmpeg_exe(), "-v", "error", "-y", "-ss", str(STARTS.get(clip.stem, 0.0)), "-i", str(clip), "-an", "-vf",
                ",".join([*rate, scale]), "-frames:v", str(self.max_frames), "-crf", "10", "-pix_fmt", "yuv420p", str(made),
            ])  # fmt: skip
        return made

    def self_mode(self, clip: Path) -> Row:
        """A clip drives its own first frame."""
        full, clip = clip.parent.name == "full", self.cut(clip)
        picture = first_frame(clip, self.work / f"{clip.stem}.png")
        self.look(clip)
        made = self.work / f"self_{clip.stem}.mp4"
        self.animate(picture, clip, made)
        figures = self.judge(made, clip, picture, "self")
        still = self.work / f"static_{clip.stem}.mp4"
        must(self.ruler("baselines.py", "static", picture, clip, still, "--max-frames", str(self.max_frames)))
        reference, controls = inputs(picture, clip, self.work / "cache")
        limbs = self.work / f"limbs_{clip.stem}.mp4"
        write_video(limbs, rigid_limbs(reference, controls), controls.fps)
        figures |= {f"static_{k}": v for k, v in self.judge(still, clip, picture, "self").items()}
        figures |= {f"limbs_{k}": v for k, v in self.judge(limbs, clip, picture, "self").items()}
        if figures.get("face_gain") is not None:
            portrait = self.work / f"portrait_{clip.stem}.mp4"
            self.animate(picture, clip, portrait, "--region", "face,head")
            other = self.judge(portrait, clip, picture, "self")["face_gain"]
            figures["face_over_portrait"] = minus(figures["face_gain"], other)
        figures["cracks"] = 100 * cracks(reference, controls)
        figures["joint_r_again"] = self.again[clip.stem]["all"]
        if not full:
            figures |= {f"other_{key}": figures.pop(key) for key in PCK}
        return Row(name=clip.stem, figures=figures)

    def cross_mode(self, picture: Path, clip: Path) -> Row:
        """A clip drives the picture of somebody else."""
        clip = self.cut(clip)
        self.look(clip)
        made = self.work / f"cross_{picture.stem}_{clip.stem}.mp4"
        self.animate(picture, clip, made, "--size", framed(picture))
        figures = self.judge(made, clip, picture, "cross")
        reference, controls = inputs(picture, clip, self.work / "cache", framed(picture))
        if controls.body is None:  # the picture shows no arms: what the ruler takes for them is nobody's
            figures |= dict.fromkeys(("joint_r", "joint_r_plain"))
        figures["cracks"] = 100 * cracks(reference, controls) if controls.body is not None else None
        return Row(name=f"{picture.stem} by {clip.stem}", figures=figures)

    def speed(self) -> Row:
        """Frames a second with everything in the cache."""
        clip = self.cut(next(p for p in (MEDIA / "full").iterdir() if p.stem == SPEED_CLIP))
        picture = next(p for p in (MEDIA / "photo").iterdir() if p.stem == SPEED_PICTURE)
        made = self.work / "speed.mp4"
        self.animate(picture, clip, made, "--size", SPEED_SIZE)
        reference, controls = inputs(picture, clip, self.work / "cache", SPEED_SIZE)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            count = sum(1 for _ in drawn(reference, controls))
            times.append((time.perf_counter() - began) / count)
        began = time.perf_counter()
        self.animate(picture, clip, made, "--size", SPEED_SIZE)
        whole = time.perf_counter() - began
        return Row(name="speed", figures={"fps": 1 / min(times), "tool_fps": controls.num_frames / whole})

    def animate(self, picture: Path, clip: Path, made: Path, *more: str) -> None:
        """Render as a user does."""
        must(tool("animate", "-s", picture, "-d", clip, "-o", made, "--overwrite", "--quiet", *more, cache=self.work / "cache"))

    def look(self, clip: Path) -> None:
        """Find out which joints of a clip the ruler tells, whatever is rendered."""
        if clip.stem in self.again:
            return
        turned = turned_clip(clip, self.work / f"turned_{clip.stem}.mp4", self.max_frames)
        found = self.report(turned, clip, first_frame(clip, self.work / f"{clip.stem}.png"), "cross")
        self.again[clip.stem] = {
            "missing": pick(found, "body.pose_missing"), "all": pick(found, "body.joint_mean_r"), **joint_angles(found),
        }  # fmt: skip

    def judge(self, made: Path, clip: Path, reference: Path, mode: str) -> Figures:
        """The ruler's figures of one render."""
        found = self.report(made, clip, reference, mode)
        figures = {key: pick(found, where) for key, where in REPORTED.items()}
        if (self.again[clip.stem]["missing"] or 0) > LOST:
            figures |= dict.fromkeys(key for key in REPORTED if key.startswith(("pck", "joint")))
        told = [r for name, r in joint_angles(found).items() if r is not None and name in self.told(clip.stem)]
        return figures | {"joint_r": sum(told) / len(told) if told else None}

    def told(self, name: str) -> list[str]:
        """Joints of a clip that the ruler tells."""
        again = self.again[name]
        if (again["missing"] or 0) > LOST:
            return []
        return [joint for joint in JOINTS if (again[joint] or 0) >= AGAIN]

    def report(self, made: Path, clip: Path, reference: Path, mode: str) -> dict[str, Any]:
        """All that the ruler says of one render."""
        report = made.with_suffix(".ruler.json")
        must(self.ruler(
            "reenact_eval.py", made, clip, reference, "--mode", mode, "--image-frames", "24", "--body", "on", "--cache",
            self.work / "tracking", "--out", report,
        ))  # fmt: skip
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        if found["body"] is not None:
            found["body"]["pck"] = found["body"].pop("pck@0.1_torso", None)
        return found

    def tell(self) -> None:
        """Print which joints count, and how well the ruler finds those again that do not."""
        rows = [
            (name, again["missing"], *(again[joint] for joint in JOINTS), " ".join(self.told(name)) or "nothing")
            for name, again in self.again.items()
        ]
        print_table("r of the joints of the clips, measured twice", ("clip", "lost", *JOINTS, "told"), rows)


def joint_angles(found: dict[str, Any]) -> Figures:
    """The ruler's r of each joint, None where the driver does not move it."""
    return {joint: pick(found, f"body.joints.{joint}.r") for joint in JOINTS}


def sheet(work: Path, pairs: Sequence[tuple[Path, Path]]) -> Path:
    """Frames of all cross renders, a row a picture."""
    import av
    import cv2

    rows: dict[str, list[U8]] = {}
    for picture, clip in pairs:
        path = work / f"cross_{picture.stem}_{clip.stem}.mp4"
        if not path.exists():
            continue
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        for index in np.linspace(0, len(frames) - 1, SHEET_FRAMES + 1).astype(int)[1:]:
            frame = frames[index]
            width = round(frame.shape[1] * SHEET_HEIGHT / frame.shape[0])
            rows.setdefault(picture.stem, []).append(cv2.resize(frame, (width, SHEET_HEIGHT), interpolation=cv2.INTER_AREA))
    lines = [np.hstack(row) for row in rows.values()]
    wide = max(line.shape[1] for line in lines)
    made = work / "sheet.png"
    cv2.imwrite(str(made), np.vstack([np.pad(line, ((0, 0), (0, wide - line.shape[1]), (0, 0))) for line in lines]))
    return made


def wanted(chosen: argparse.Namespace) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Clips of self mode, and pairs of cross mode."""
    names = set(filter(None, chosen.only.split(",")))
    clips = [p for folder in ("half", "full") for p in sorted((MEDIA / folder).iterdir()) if p.stem not in LEFT_OUT]
    drivers = [p for name in DRIVERS for p in clips if p.stem == name]
    pictures = [p for name in PICTURES for p in (MEDIA / "photo").iterdir() if p.stem == name]
    if names:
        pictures = [p for p in pictures if p.stem in names] or pictures
        drivers = [p for p in drivers if p.stem in names] or drivers
        clips = [p for p in clips if p.stem in names]
    return clips, [(picture, driver) for picture in pictures for driver in drivers]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = options(__doc__ or "")
    made.add_argument("--only", default="", help="names of clips and pictures without suffix, by commas")
    made.add_argument("--mode", choices=("self", "cross", "speed", "all"), default="all")
    made.add_argument("--frames", type=int, default=48, help="frames of each clip")
    made.add_argument("--rate", type=int, default=24, help="frames a second at which clips are cut")
    made.add_argument("--work", type=Path, default=RESULTS / "body", help="where the renders stay")
    made.add_argument("--keep-cache", action="store_true", help="use the controls of the last run (wrong after a change of them)")
    return made


def main() -> int:
    """Run the measurement."""
    chosen = parser().parse_args()
    need(MEDIA / "half", MEDIA / "full", MEDIA / "photo", RULER)
    clips, pairs = wanted(chosen)
    work = chosen.work.resolve()
    if not chosen.keep_cache:
        shutil.rmtree(work / "cache", ignore_errors=True)
    measurement = BodyMeasurement(work, chosen.frames, chosen.rate)
    made: dict[str, tuple[list[Row], Sequence[Bar], Sequence[str]]] = {}
    tasks: dict[str, list[tuple[str, Callable[[], Row]]]] = {
        "self": [(c.stem, lambda c=c: measurement.self_mode(c)) for c in clips],  # type: ignore[misc]
        "cross": [(f"{p.stem} by {c.stem}", lambda p=p, c=c: measurement.cross_mode(p, c)) for p, c in pairs],  # type: ignore[misc]
        "speed": [("speed", measurement.speed)],
    }
    told = {
        "self": (SELF_BARS, SHOWN_SELF),
        "cross": (CROSS_BARS, ("joint_r", "joint_r_plain", "cracks")),
        "speed": (SPEED_BARS, ("fps", "tool_fps")),
    }
    for mode, jobs in tasks.items():
        if chosen.mode in (mode, "all"):
            made[mode] = ([attempt(name, job) for name, job in jobs], *told[mode])
    measurement.tell()
    lines = {mode: show(f"{mode} mode", rows, shown, bars) for mode, (rows, bars, shown) in made.items() if rows}
    if "cross" in made:
        print(f"\nsheet: {sheet(work, pairs)}", file=sys.stderr)
    failed = sum(bool(row.error) for rows, _, _ in made.values() for row in rows)
    missed = [line["figure"] for group in lines.values() for line in group if False in (line["mean_met"], line.get("worst_met"))]
    print(f"\n{len(missed)} bars missed at the mean or at the worst clip, {failed} runs failed")
    write_results(
        "body",
        {"frames": chosen.frames, "rate": chosen.rate, "bars": lines, "again": measurement.again}
        | {mode: {row.name: row.figures | {"error": row.error} for row in rows} for mode, (rows, _, _) in made.items()},
    )
    return 1 if missed or failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

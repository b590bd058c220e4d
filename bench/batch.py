"""How well a batch uses the machine, and what a job costs beside its work.

    python bench/batch.py [--images 10] [--drivers 20] [--only scaling,overhead]

scaling   images x drivers at 256 px, one second each, through `dreamactor render`: two workers on two cores against one worker on
          one core (pinned), and against one worker that may use both. Wall time of whole processes with a cold cache, and of the
          render phase alone, from the results. Drivers and pictures must be measured once each.
overhead  from the start of a job to the start of the next, without the seconds of its stages, warm caches: in a run with one
          worker against `run_job` in a loop in one process. Medians, so that the load of the machine matters little.

Drivers and pictures are cut from the shared media, or made of the astronaut where that is absent. Worthless on a machine that
does something else: see ``load``. Exit codes: 0 all bars met, 1 one missed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import MEDIA, astronaut, median, must, options, print_table, tool, verdict, write_results

SPEEDUP_BAR = 1.8
OVERHEAD_BAR = 0.030  # seconds a job
CLIPS = (
    "expr_head_motion_man", "expr_man_neutral_mouth", "expr_woman_song", "expr_woman_strong", "talk_en_glasses_red",
    "talk_en_bald_man", "talk_en_may", "talk_en_webcam_glasses", "talk_zh_lecture_man", "talk_en_office_man",
)  # fmt: skip
MOTIONS = ("greeting", "nod", "shake", "smile", "surprise", "talk", "turn", "wave", "wink", "idle")
Row = list[object]


def make_media(folder: Path, images: int, drivers: int) -> tuple[list[Path], list[Path]]:
    """Pictures and clips of a second, 256 px high; each clip is another one."""
    folder.mkdir(parents=True)
    if (MEDIA / "index.json").exists():
        sources = [path for name in CLIPS if (path := MEDIA / "portrait" / f"{name}.mp4").exists()]
        pictures = [_cut(sources[k % len(sources)], folder / f"picture_{k}.png", k // len(sources)) for k in range(images)]
        return pictures, [
            _cut(sources[k % len(sources)], folder / f"driver_{k:02d}.mp4", 1 + k // len(sources)) for k in range(drivers)
        ]
    portrait = astronaut(folder / "astronaut.png")
    clips = []
    for k in range(drivers):
        motion, start = MOTIONS[k % len(MOTIONS)], 0.5 * (k // len(MOTIONS))
        clips.append(folder / f"driver_{k:02d}.mp4")
        window = ("--start", f"{start:g}", "--duration", "1", "--size", "256x256")
        must(tool("animate", "-s", portrait, "-d", f"motion:{motion}", "-o", clips[-1], *window, cache=folder / "cache"))
    return [_tinted(portrait, folder / f"picture_{k}.png", k) for k in range(images)], clips


def _cut(source: Path, target: Path, second: int) -> Path:
    import imageio_ffmpeg

    span = ("-frames:v", "1") if target.suffix == ".png" else ("-t", "1", "-an", "-crf", "18", "-pix_fmt", "yuv420p")
    scale = ("-vf", "scale=-2:256")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-ss", str(second), "-i", str(source), *scale]
    must([*command, *span, str(target)])
    return target


def _tinted(source: Path, target: Path, number: int) -> Path:
    from PIL import Image, ImageEnhance

    with Image.open(source) as picture:
        ImageEnhance.Brightness(picture.crop((96, 0, 352, 256))).enhance(0.7 + 0.06 * number).save(target)
    return target


def write_manifest(path: Path, pictures: Sequence[Path], clips: Sequence[Path]) -> Path:
    """Every picture with every clip."""
    rows = [f"{p.stem}_{c.stem},{p},{c}" for p in pictures for c in clips]
    path.write_text("\n".join(["id,image,driving", *rows]) + "\n", encoding="utf-8")
    return path


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The results of a run."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]


def rendering(folder: Path) -> float:
    """Seconds from the start of the first job to the end of the last."""
    lines = [line for line in lines_of(folder) if line["status"] == "ok"]
    return max(line["started"] + sum(line["seconds"].values()) for line in lines) - min(line["started"] for line in lines)


def scaling(work: Path, images: int, drivers: int) -> tuple[list[Row], bool]:
    """Two workers against one."""
    pictures, clips = make_media(work / "media", images, drivers)
    manifest = write_manifest(work / "all.csv", pictures, clips)
    must(
        tool("render", write_manifest(work / "one.csv", pictures[:1], clips[:1]), "-o", work / "warm", cache=work / "warm-cache")
    )
    cases = {"1 worker, 1 core": ("1", {0}), "2 workers, 2 cores": ("2", {0, 1}), "1 worker, 2 cores": ("1", {0, 1})}
    spent, rows = {}, []
    for name, (workers, cores) in cases.items():
        folder = work / f"out-{len(spent)}"
        pinned = ["taskset", "-c", ",".join(map(str, sorted(cores)))]
        done = must([*pinned, *tool("render", manifest, "-o", folder, "--workers", workers, cache=work / f"cache-{len(spent)}")])
        inputs = json.loads((folder / "run.json").read_text("utf-8"))["inputs"]
        spent[name] = (done.seconds, rendering(folder))
        once = len(inputs) == len({one["path"] for one in inputs}) == images + drivers
        rows.append([name, len(lines_of(folder)), round(done.seconds, 1), round(spent[name][1], 1), "yes" if once else "NO"])
        print(f"{name}: {done.seconds:.1f} s, rendering {spent[name][1]:.1f} s", file=sys.stderr, flush=True)
    gain = spent["1 worker, 1 core"][0] / spent["2 workers, 2 cores"][0]
    met = gain >= SPEEDUP_BAR and all(row[-1] == "yes" for row in rows)
    other = spent["1 worker, 2 cores"][0] / spent["2 workers, 2 cores"][0]
    print_table("scaling", ("case", "jobs", "seconds", "rendering", "inputs once"), rows)
    print(f"gain {gain:.2f} ({verdict(met)}, bar {SPEEDUP_BAR}); against one worker with both cores {other:.2f}")
    return rows, met


LOOP = """
import json, sys, time
from pathlib import Path
from dreamactor_cli.cache import Cache
from dreamactor_cli.kept import Kept
from dreamactor_cli.manifest import load_manifest
from dreamactor_cli.pipeline import Means, run_job
manifest, folder, cache = map(Path, sys.argv[1:])
means = Means(workers=1, threads=1, kept=Kept())
for job in load_manifest(manifest, folder=folder, overrides={}):
    began = time.time()
    result = run_job(job, cache=Cache(cache), means=means)
    print(json.dumps({"started": began, "seconds": dict(result.seconds)}))
"""


def beside(lines: Sequence[dict[str, Any]]) -> float:
    """Seconds from the start of a job to that of the next, without those of its stages; the median over the jobs."""
    ordered = sorted(lines, key=lambda line: line["started"])
    return median([b["started"] - a["started"] - sum(a["seconds"].values()) for a, b in zip(ordered, ordered[1:])])


def overhead(work: Path, images: int, drivers: int) -> tuple[list[Row], bool]:
    """What a job of a run and of a loop costs beside extraction and rendering."""
    pictures, clips = make_media(work / "media", images, drivers)
    manifest, cache = write_manifest(work / "few.csv", pictures, clips), work / "cache"
    must(tool("render", manifest, "-o", work / "warm", cache=cache))
    pinned, folder = ["taskset", "-c", "0"], work / "run"
    done = must([*pinned, sys.executable, "-c", LOOP, str(manifest), str(work / "loop"), str(cache)])
    must([*pinned, *tool("render", manifest, "-o", folder, "--workers", "1", cache=cache)])
    loop, batch = beside([json.loads(line) for line in done.stdout.splitlines()]), beside(lines_of(folder))
    met = batch - loop <= OVERHEAD_BAR
    rows: list[Row] = [["run_job in a loop", round(1000 * loop, 1)], ["a run, one worker", round(1000 * batch, 1)]]
    print_table("overhead", ("case", "ms a job beside its stages"), rows)
    print(f"overhead {1000 * (batch - loop):.1f} ms a job ({verdict(met)}, bar {1000 * OVERHEAD_BAR:.0f} ms)")
    return rows, met


def main() -> int:
    """Measure what is asked for."""
    parser = options(__doc__ or "")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--drivers", type=int, default=20)
    parser.add_argument("--only", default="scaling,overhead")
    asked = parser.parse_args()
    record: dict[str, Any] = {"images": asked.images, "drivers": asked.drivers}
    ok = True
    with tempfile.TemporaryDirectory(prefix="dreamactor-bench-") as folder:
        if "scaling" in asked.only.split(","):
            record["scaling"], met = scaling(Path(folder) / "scaling", asked.images, asked.drivers)
            ok &= met
        if "overhead" in asked.only.split(","):
            record["overhead"], met = overhead(Path(folder) / "overhead", min(asked.images, 5), min(asked.drivers, 6))
            ok &= met
    write_results("batch", record)
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())

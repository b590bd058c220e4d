"""How fast synthetic people are made, all in: identities, clothes, motion, pictures at 128 px and their truth.

``python bench/synthetic.py [--assets FOLDER] [--check]`` prints a table and writes ``bench/results/synthetic_PEOPLE.json``. A new
person comes every two clips of 25 frames; a reference a clip is drawn too and not counted. Frames a second of processor time
are what one core gives; the bar is on the pictures that all workers together delivered by the clock, and is meant for a
machine that does nothing else.

``--check`` asks the face mesh of mediapipe, at 512 px, where it finds what is known: share of faces found, distance of landmarks
in percent of the head's height (chin to crown), difference of the head's pose in degrees.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from common import options, print_table, verdict, write_results

from dreamactor_cli import head_space
from dreamactor_cli.training.synthetic import FRAMINGS, generate, generate_clip

BAR = 150.0  # frames a second on two cores
FRAMES, SIZE = 25, 128
CHECKED = ("face", "bust", "half")
HEAD_HEIGHT = 3.2  # inter-ocular distances


def alone(assets: Path | None, framing: str, clips: int) -> float:
    """Frames a second of processor time in this process."""
    stream = generate(3, workers=0, size=SIZE, frames=FRAMES, framing=framing, assets=assets)
    next(stream)
    began = time.process_time()
    for _ in range(clips):
        next(stream)
    return clips * FRAMES / (time.process_time() - began)


def together(assets: Path | None, workers: int, clips: int) -> float:
    """Frames a second of the clock from a stream of all framings."""
    stream = generate(4, workers=workers, size=SIZE, frames=FRAMES, assets=assets)
    for _ in range(8 * workers):  # until every worker has begun and the clips made ahead meanwhile are used up
        next(stream)
    began = time.perf_counter()
    for _ in range(clips):
        next(stream)
    rate = clips * FRAMES / (time.perf_counter() - began)
    stream.close()
    return rate


def check(assets: Path | None, framing: str, clips: int) -> dict[str, float]:
    """How far mediapipe's face mesh is from the truth."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    there = found = 0
    away, turned = [], []
    with FaceMesh(static_image_mode=True, refine_landmarks=True) as finder:
        for seed in range(clips):
            clip = generate_clip(9000 + seed, size=512, frames=3, framing=framing, assets=assets)
            face, head = clip.controls.face, clip.controls.head
            assert face is not None
            assert head is not None
            for t in np.flatnonzero(face.score > 0):
                there += 1
                answer = finder.process(clip.frames[t]).multi_face_landmarks
                if not answer:
                    continue
                found += 1
                mesh = np.array([[p.x, p.y, p.z] for p in answer[0].landmark]) * 512 - [0.5, 0.5, 0]
                height = head.radius[t] / head_space.SPHERE_RADIUS * HEAD_HEIGHT
                away.append(np.linalg.norm(mesh[:468, :2] - face.landmarks[t, :468, :2], axis=1).mean() / height)
                pose = head_space.euler_degrees(head_space.head_pose(mesh[None]).rotation)[0]
                turned.append(np.abs(pose - head_space.euler_degrees(head.rotation[t])))
    yaw, pitch, roll = np.mean(turned, 0).tolist()
    return {
        "faces": there,
        "found": found / there,
        "landmarks_percent": 100 * float(np.mean(away)),
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
    }


def main() -> int:
    """Measure, print, write."""
    parser = options(__doc__)
    parser.add_argument("--assets", type=Path, help="a converted MakeHuman; without, people made of code alone")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--check", action="store_true", help="ask mediapipe where the faces are")
    arguments = parser.parse_args()
    people = "code" if arguments.assets is None else "makehuman"
    rates = {framing: alone(arguments.assets, framing, arguments.clips) for framing in FRAMINGS}
    workers = len(os.sched_getaffinity(0))
    rate = together(arguments.assets, workers, 4 * arguments.clips)
    rows: list[list[object]] = [[f"{framing}, one core", r, None, ""] for framing, r in rates.items()]
    rows.append([f"all framings, {workers} workers, by the clock", rate, BAR, verdict(rate >= BAR)])
    print_table(f"Frames a second at {SIZE} px, people of {people}", ("what", "frames/s", "bar", ""), rows)
    record: dict[str, object] = {
        "people": people,
        "frames_a_second_of_a_core": rates,
        "workers": workers,
        "frames_a_second": rate,
    }
    if arguments.check:
        checked = {framing: check(arguments.assets, framing, arguments.clips) for framing in CHECKED}
        record["mediapipe"] = checked
        print_table(
            "What mediapipe's face mesh finds",
            ("framing", *next(iter(checked.values()))),
            [[f, *c.values()] for f, c in checked.items()],
        )
    write_results(f"synthetic_{people}", record)
    return 0 if rate >= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""The options of a render, one name for the command line, the manifest's column and the preset's field.

Nothing is checked here: `presets.merge` does that for every source of values. "Not given" is None.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    list[Path],
    typer.Option(
        "--source",
        "-s",
        metavar="IMAGE",
        show_default=False,
        help="The picture to animate; again for more views of the same person.",
    ),
]
Driving = Annotated[
    str,
    typer.Option(
        "--driving",
        "-d",
        metavar="VIDEO|CONTROLS|BVH|motion:NAME",
        show_default=False,
        help="Whose motion: a video, a file of `dreamactor extract`, a BVH animation, or a built-in motion.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help=".mp4 .webm .mov .gif, a folder or name_%05d.png [default: <image>_<driver>.mp4 here].",
    ),
]
PresetName = Annotated[str, typer.Option("--preset", metavar="NAME", help="See `dreamactor presets list`.")]
Renderer = Annotated[str | None, typer.Option("--renderer", metavar="NAME", help="What draws the frames.")]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="NAME|FOLDER", help="Of a renderer with a network; see `dreamactor models list`."),
]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH|source", help="Size of the result, px.")]
Fps = Annotated[str | None, typer.Option("--fps", metavar="N|N/D|source", help="Frames a second of the result.")]
Background = Annotated[
    str | None,
    typer.Option("--background", metavar="keep|driving|#rrggbb|FILE|transparent", help="What is behind the person."),
]
Mouth = Annotated[
    str | None,
    typer.Option(
        "--mouth",
        metavar="procedural|driver",
        help="Inside of an open mouth: the reference's teeth or drawn ones, or the driver's pixels.",
    ),
]
Relight = Annotated[
    bool | None,
    typer.Option("--relight/--no-relight", help="Take over the driver's wrinkles and shades."),
]
SideBySide = Annotated[bool, typer.Option("--side-by-side", help="Show reference, driver and result in one picture.")]
Crf = Annotated[int | None, typer.Option("--crf", metavar="0-51", help="Quality of the encoder; 0 loses nothing.")]
Region = Annotated[
    str | None,
    typer.Option("--region", metavar="LIST", help="What moves: all, or some of face,head,mouth,eyes,body,hands."),
]
ExpressionScale = Annotated[float | None, typer.Option("--expression-scale", metavar="X", help="Factor on the expression.")]
MotionMode = Annotated[
    str | None,
    typer.Option(
        "--motion", metavar="relative|absolute", help="Move by what changes in the driver, or take its poses as they are."
    ),
]
Anchor = Annotated[
    str | None,
    typer.Option("--anchor", metavar="first|neutral", help="The driver's frame that stands for the picture."),
]
BoneLength = Annotated[
    str | None,
    typer.Option("--bone-length", metavar="auto|off", help="Keep the picture's limbs, or take over the driver's build."),
]
Skeleton = Annotated[
    Path | None,
    typer.Option("--skeleton", metavar="FILE.json", help="Joints of the picture, of `extract --format json` or your own."),
]
Smoothing = Annotated[str | None, typer.Option("--smoothing", metavar="N|off", help="Odd number of frames to smooth over.")]
Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="Begin here: seconds, or minutes:seconds.")]
Duration = Annotated[str | None, typer.Option("--duration", metavar="TIME", help="How long; to the end if not given.")]
Subject = Annotated[
    int | None,
    typer.Option("--subject", min=1, metavar="N", help="Follow the N-th person from the left."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of whatever is random.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to render: auto, cpu or cuda.")]
Credentials = Annotated[
    Path | None,
    typer.Option("--credentials", metavar="CERT.pem", help="Sign the result (C2PA) with this certificate and its chain."),
]
Key = Annotated[Path | None, typer.Option("--key", metavar="KEY.pem", help="The private key of --credentials.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, metavar="N", help="Processes [default: one a core].")]
Speaker = Annotated[
    list[Path],
    typer.Option(
        "--source",
        "-s",
        metavar="IMAGE|VIDEO",
        show_default=False,
        help="The picture that speaks (again for more views of the same person), or one video whose mouth is replaced.",
    ),
]
Audio = Annotated[
    Path,
    typer.Option("--audio", "-a", metavar="AUDIO", show_default=False, help="What is said: a sound, or a video with sound."),
]
HeadDriving = Annotated[
    str | None,
    typer.Option(
        "--driving",
        "-d",
        metavar="VIDEO|CONTROLS|BVH|motion:NAME",
        help="Whose head and body move [default: a life of its own].",
    ),
]
HeadMotion = Annotated[
    float | None, typer.Option("--head-motion", metavar="0..1", help="How lively a head is that nobody drives.")
]
MouthGain = Annotated[float | None, typer.Option("--mouth-gain", metavar="X", help="Factor on what the mouth does.")]
LeadMs = Annotated[float | None, typer.Option("--lead-ms", metavar="MS", help="Let the mouth move before the sound.")]
MotionEnds = Annotated[
    str | None,
    typer.Option(
        "--motion-ends",
        metavar="ping-pong|loop|hold|cut",
        help="When the motion of -d is shorter than the sound: it goes back and forth, begins again, holds; or all ends.",
    ),
]
SoundEnds = Annotated[
    str | None,
    typer.Option("--sound-ends", metavar="cut|rest", help="When the sound is shorter: all ends, or the mouth rests."),
]
SpeechEncoder = Annotated[
    str | None,
    typer.Option("--speech-encoder", metavar="mel|whisper:tiny|whisper:FOLDER", help="What listens."),
]
Captions = Annotated[
    str | None,
    typer.Option("--captions", metavar="off|srt|vtt|burn", help="Write what is said; needs weights of Whisper."),
]

"""The model card that goes with weights: what is known of how they were made, and what whoever passes them on has to add."""

from __future__ import annotations

from collections.abc import Mapping

from dreamactor_cli.models.weights_folder import Index, Models

_BEGUN = {
    "nothing": "random weights, around a VAE of this package's own training",
    "ours": "other weights of this package: their card holds for these as well",
    "wan": "Wan 2.1 (Apache-2.0): its card and its licence hold for these as well",
}
_SYNTHETIC = (
    "Renders of synthetic adults, mixed by chance. Beyond the beginning, nobody's face, photograph or film was learned from."
)
_VIDEOS = (
    "Films in a folder of somebody's own. **Say here whose they are, and that the people in them agreed** to be learned from; "
    "whoever was filmed can be drawn more truly by these weights than anybody else, doing what they never did."
)


def card_of(index: Index, models: Models, figures: Mapping[str, float], *, begun: str, synthetic: bool) -> str:
    """Text of README.md.

    Args:
        index: of the weights, with what they were made with.
        figures: in dB by name, of the last pictures of samples that training made; empty if it made none.
        begun: with what training began: ``nothing``, ``ours`` or ``wan``.
        synthetic: whether the people were.
    """
    counted = {part: sum(value.numel() for value in getattr(models, part).parameters()) for part in ("transformer", "vae")}
    about = "\n".join(f"- {name}: `{value}`" for name, value in sorted(index.about.items()))
    judged = (
        "clips of people that were never learned from"
        if synthetic
        else "some of the same films (of strangers this tells nothing)"
    )
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value:.2f} dB |" for name, value in figures.items())
    measured = f"On {judged}, by the pictures of samples of the training:\n\n| figure | value |\n|---|---|\n{rows}" if rows else (
        "Nothing was measured while they were trained."
    )  # fmt: skip
    shown = f"{index.size} x {index.size} px" if index.size else "pictures of any size"
    return f"""# Model card: weights of config {index.config}

For `dreamactor animate --renderer diffusion --weights DIR`: the video diffusion transformer of DreamActor-M1 as this package
builds it, {counted["transformer"]:,} parameters, and a VAE of {counted["vae"]:,}. Draws {shown}, {index.frames} frames a segment.

## How they were made

Begun with {_BEGUN[begun]}.

{about}

## What they learned from

{_SYNTHETIC if synthetic else _VIDEOS}

## Figures

{measured}

## Limits

- Faces of strangers: who looks unlike the people that were learned from comes out more like them, children above all.
- Nobody has looked at what these weights draw before this text was written: look, and say here what you saw.
- Do not draw people without their consent, or as saying or doing what they did not.
"""

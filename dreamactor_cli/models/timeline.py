"""How pixel frames and latent frames lie to each other: latent 0 holds one frame, every other latent four (Wan's causal VAE)."""

from __future__ import annotations

import math

TEMPORAL = 4  # frames a latent
SPATIAL = 8  # px a latent, in width and height


def latents_of(frames: int) -> int:
    """Latent frames that hold so many pixel frames; the last one may be filled up: 73 -> 19, 74 -> 20."""
    return 1 + math.ceil(max(frames - 1, 0) / TEMPORAL)


def frames_of(latents: int) -> int:
    """Pixel frames that so many latent frames decode to: 19 -> 73."""
    return TEMPORAL * (latents - 1) + 1


def latent_index(frames: int) -> list[int]:
    """The latent frame that each pixel frame lies in, (frames,): 0, 1, 1, 1, 1, 2 ..."""
    return [(frame + TEMPORAL - 1) // TEMPORAL for frame in range(frames)]


def next_segment(left: int, longest: int) -> int:
    """Latents of the next segment of a clip.

    Segments share one latent: the last of one is the first of the next. They are about equally long, so that none is so short
    that a model has not seen its like.

    Args:
        left: latents from that one on to the end of the clip.
        longest: latents of a segment, at least 2 where there is more than one latent.

    Raises:
        ValueError: a segment of less than two latents would never end a longer clip.
    """
    if left <= 1:
        return left
    if longest < 2:
        raise ValueError(f"a segment needs 2 latents, not {longest}")
    parts = math.ceil((left - 1) / (longest - 1))
    return 1 + math.ceil((left - 1) / parts)


def longest_of(frames: int) -> int:
    """Latents of the longest segment of at most so many frames, but 2 at least: 73 and 76 -> 19."""
    return max(1 + (frames - 1) // TEMPORAL, 2)

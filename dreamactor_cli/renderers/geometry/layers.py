"""Matting: cut a reference picture into the person's colours, an alpha, and a background plate.

The composite ``alpha * color + (1 - alpha) * background`` equals the reference picture: at zero motion nothing may change.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.patches import close_hole

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

THIN = 0.6  # alpha below which the background plate answers for what colour and alpha leave open
NARROW = 3.0  # px: the blur that a smaller copy is left with
OUTLINE = 0.008  # of the longer side: how far from the person a pixel counts as outline
TOLERANCE = 1.5  # grey levels by which the composite of a portrait's layers may miss the picture
TEXTURE_FADE = (0.08, 0.25)  # of the longer side: from how far inside a hole its texture is guesswork, and left out
RESTLESS = 0.4  # of a background's texture about a body: edges of no more contrast are its own
SIDED = 40.0  # grey levels by which a pixel is liker to the side that the matte gives it to
DECIDED = 60.0  # grey levels, the most that one pixel has to say
AGREE = 0.003  # of the longer side, over which pixels go to the same side
HAZE = 64  # alpha below which a pixel is the person's only beside others that are
FRINGE = 0.003  # of the longer side: how far from those
CRUMB = 0.001  # of a person: smaller pieces are none of it
INPAINT_SIZE = 160  # px of the longer side at which holes are inpainted: what is missing is blurred anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """A picture taken apart.

    Attributes:
        color: (H, W, 3), the person's colours, continued beyond the outline.
        alpha: (H, W), 0..255.
        background: (H, W, 3), the picture without the person.
        empty: likewise, without what the person does to the picture along the outline either.
    """

    color: U8
    alpha: U8
    background: U8
    empty: U8


def separate(
    image: U8,
    matte: F32,
    solid: U8,
    *,
    thin: float = THIN,
    texture_fade: tuple[float, float] = TEXTURE_FADE,
    tolerance: float = TOLERANCE,
    stray: float = 255.0,
    patches: bool = False,
) -> Layers:
    """Cut a picture into layers.

    Args:
        image: (H, W, 3), RGB.
        matte: (H, W), 0..1, a coarse segmentation.
        solid: (H, W), 255 where the person is for certain (the face).
        thin: alpha below which the background plate answers for what colour and alpha leave open: little, for who goes far
            away from it.
        texture_fade: of `complete_background`.
        tolerance: grey levels by which the composite of the layers may miss the picture.
        stray: grey levels by which a colour of the outline may differ from those of the person beside it.
        patches: continue the background by `patches.close_hole`, for who uncovers more of it than a rim.
    """
    picture = image.astype(np.float32)
    goes_far = stray < 255  # a body, whose outline is seen before another background
    restless = RESTLESS * _texture(picture, matte) if goes_far else np.zeros_like(matte)
    alpha = refine_matte(picture, matte, solid, restless)
    hole = dilate(alpha > 0.05, 0.03 * len(image))
    background = complete_background(image, hole, texture_fade)
    spread = spread_color(picture, alpha > 0.95)
    alpha = recolor_matte(picture, alpha, spread, background)
    alpha = np.where(alpha < thin, alpha, np.maximum(alpha, least_alpha(picture, background)))
    if patches:  # only now: what tells person and background apart is their smooth continuation
        background = np.clip(close_hole(background, hole), 0, 255)
    a = alpha[..., None]
    # F = (I - (1-a) B) / a takes the background's light out of hair and outline.
    unmixed = np.clip((picture - (1 - a) * background) / np.maximum(a, 0.05), 0, 255)
    if goes_far:
        unmixed = np.where(a < 0.9, np.clip(unmixed, spread - stray, spread + stray), unmixed)
    color = np.where(a > 0.98, picture, np.where(a > 0.12, unmixed, spread))
    # Where the matte is thin, the background plate takes what is missing to the picture.
    rest = np.clip((picture - a * color) / np.maximum(1 - a, 0.05), 0, 255)
    layers = Layers(
        color=_u8(color), alpha=_u8(alpha * 255), background=_u8(np.where(a < thin, rest, background)), empty=_u8(background)
    )
    like = _liker(picture, alpha, spread, background) if goes_far else np.ones(alpha.shape, bool)
    _exact(image, layers, tolerance, like)
    if goes_far:
        _sweep(image, layers)
    return layers


def _liker(picture: F32, alpha: F32, spread: F32, background: F32) -> NDArray[np.bool_]:
    """Pixels that are rather the person's than the background's, (H, W): as those around them, or an outline is crumbs."""
    own, others = (np.abs(picture - colors).max(2) for colors in (spread, background))
    lead = np.clip(others - own + SIDED * (2 * alpha - 1), -DECIDED, DECIDED)
    return np.asarray(blur(lead.astype(np.float32), AGREE * max(alpha.shape)) > 0)


def _exact(image: U8, layers: Layers, tolerance: float, like: NDArray[np.bool_]) -> None:
    """Make the composite of layers the picture, in place: where no colours can explain it, a pixel goes wholly to one layer.

    Args:
        like: pixels that may go to the person, (H, W).
    """
    color, alpha, background = layers.color, layers.alpha, layers.background
    a = alpha[..., None].astype(np.float32) / 255
    composite = a * color + (1 - a) * background
    off = np.abs(composite - image).max(2) > tolerance
    # Beside the outline in doubt to the person: what stays behind is seen more than what is carried along by a pixel.
    person = off & like & (dilate(alpha >= 128, OUTLINE * max(alpha.shape)) > 0)
    nobody = off & ~person
    color[person], alpha[person] = image[person], 255
    background[nobody], alpha[nobody] = image[nobody], 0


def _sweep(image: U8, layers: Layers) -> None:
    """Leave to the background, in place, what lies beside the person in crumbs or as a haze: it would come along with a limb."""
    alpha = layers.alpha
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((alpha >= HAZE).astype(np.uint8), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA]
    whole = np.append(False, sizes[1:] >= CRUMB * sizes[1:].sum())[pieces] if count > 1 else np.zeros(alpha.shape, bool)
    beside = ~whole & ((alpha >= HAZE) | (dilate(whole, 2 * FRINGE * max(alpha.shape)) == 0))
    leave_to_background(image, layers, beside)


def leave_to_background(image: U8, layers: Layers, mask: NDArray[np.bool_]) -> None:
    """Make what a mask (H, W) covers the background's, in place."""
    layers.background[mask], layers.alpha[mask] = image[mask], 0


def refine_matte(picture: F32, matte: F32, solid: U8, restless: F32) -> F32:
    """Snap a coarse matte (H, W) to the edges of the picture (guided filter), with the solid part at 1.

    Args:
        restless: grey levels of texture around each pixel that are no edges, (H, W).
    """
    radius = max(4, picture.shape[1] // 80)
    alpha = guided_filter(picture.mean(2), matte, radius, (0.02 * 255) ** 2 + restless**2)
    alpha = np.clip((alpha - 0.15) / 0.7, 0, 1)
    return np.maximum(alpha, blur(solid.astype(np.float32) / 255, 2))


def guided_filter(guide: F32, values: F32, radius: int, epsilon: float | F32) -> F32:
    """Edge-preserving filter of values by a grey guide (He et al. 2010); all (H, W)."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(x: F32) -> F32:
        return np.asarray(cv2.boxFilter(x, -1, size, borderType=cv2.BORDER_REFLECT), np.float32)

    mean_g, mean_v = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_g * mean_v) / (mean(guide * guide) - mean_g**2 + epsilon)
    offset = mean_v - slope * mean_g
    return mean(slope) * guide + mean(offset)


def least_alpha(picture: F32, background: F32) -> F32:
    """The smallest alpha (H, W) at which some colour over the background gives the picture; both (H, W, 3)."""
    gap = picture - background
    room = np.where(gap > 0, 255 - background, background)
    return np.clip(np.abs(gap) / np.maximum(room, 1), 0, 1).max(2).astype(np.float32)


def recolor_matte(picture: F32, alpha: F32, color: F32, background: F32) -> F32:
    """Re-estimate alpha by colour where the background is calm.

    Where person and background differ, alpha is how far a pixel lies between them. What differs from a calm background and
    is no mixture of the two is the person's too: strands of hair, and outlines of drawings, would else stay behind.
    """
    difference = color - background
    contrast = (difference**2).sum(2)
    by_color = np.clip(((picture - background) * difference).sum(2) / np.maximum(contrast, 1), 0, 1)
    calm = np.clip(1 - (_texture(picture, alpha) - 4) / 10, 0, 1)
    trust = np.clip((np.sqrt(contrast) - 25) / 40, 0, 1) * calm
    near = dilate(alpha > 0.05, 0.03 * len(picture)) > 0
    core = cv2.erode((alpha > 0.9).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    trust[~near | core | (alpha >= 0.97)] = 0
    trust = blur(trust.astype(np.float32), 1.0)
    mixed = alpha * (1 - trust) + by_color * trust
    unexplained = picture - background - mixed[..., None] * difference
    stray = np.clip((np.abs(unexplained).max(2) - 14) / 26, 0, 1) * calm * near
    return np.maximum(mixed, stray).astype(np.float32)


def _texture(picture: F32, alpha: F32) -> F32:
    """Standard deviation of grey in the background around each pixel, in grey levels, (H, W)."""
    outside = (alpha < 0.02).astype(np.float32)
    sigma = picture.shape[1] / 40
    grey = picture.mean(2)
    share = blur(outside, sigma) + 1e-3
    mean = blur(grey * outside, sigma) / share
    variance = blur(outside * (grey - mean) ** 2, sigma) / share
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def spread_color(picture: F32, known: NDArray[np.bool_]) -> F32:
    """Colours of the known pixels, continued outwards (H, W, 3)."""
    weight = known.astype(np.float32)
    out = picture.copy()
    open_ = ~known
    for sigma in (2, 4, 8, 16, 32):
        color = blur(picture * weight[..., None], sigma)
        share = blur(weight, sigma)
        reached = open_ & (share > 0.02)
        out[reached] = color[reached] / share[reached][:, None]
        open_ &= ~reached
    return out


def fill(image: U8, hole: U8) -> F32:
    """The picture (H, W, 3) with a hole (H, W) inpainted (Telea 2004) at small size, and a soft transition."""
    height, width = hole.shape
    scale = min(1.0, INPAINT_SIZE / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small_hole = (cv2.resize(hole, size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    small_hole = cv2.dilate(small_hole, np.ones((3, 3), np.uint8))
    small = cv2.inpaint(cv2.resize(image, size, interpolation=cv2.INTER_AREA), small_hole, 5, cv2.INPAINT_TELEA)
    smooth = blur(small, 1.0)
    plate = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    soft = blur(dilate(hole > 0, 2).astype(np.float32), 1.5)
    mask = np.clip(soft * 2 - 1, 0, 1)[..., None]
    return plate * mask + image.astype(np.float32) * (1 - mask)


def complete_background(image: U8, hole: U8, texture_fade: tuple[float, float] = TEXTURE_FADE) -> F32:
    """The picture (H, W, 3) with a hole (H, W) closed: by `fill`, with the texture that lies mirrored across its rim.

    What comes out from behind a head that moves lies close to the rim, where a blur beside sharp background would be seen.
    The texture fades out between two depths of the hole, as shares of the longer side.
    """
    plate = fill(image, hole)
    if not hole.any() or hole.all():
        return plate
    height, width = hole.shape
    outside = (1 - hole).astype(np.float32)
    sigma = 1.5 * max(height, width) / INPAINT_SIZE
    picture = image.astype(np.float32)
    smooth = blur(picture * outside[..., None], sigma) / np.maximum(blur(outside, sigma), 1e-3)[..., None]
    texture = (picture - smooth) * outside[..., None]
    distance, label = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    rim = np.zeros((int(label.max()) + 1, 2), np.int32)
    rim[label[hole == 0]] = np.argwhere(hole == 0)
    inside = np.argwhere(hole)
    mirrored = np.abs(2 * rim[label[hole > 0]] - inside)
    last = np.array([height - 1, width - 1])
    mirrored = last - np.abs(last - np.minimum(mirrored, 2 * last))
    depth = distance[hole > 0] / max(height, width)
    share = np.clip((texture_fade[1] - depth) / (texture_fade[1] - texture_fade[0]), 0, 1)[:, None]
    plate[hole > 0] += share * texture[mirrored[:, 0], mirrored[:, 1]]
    return np.clip(plate, 0, 255)


def dilate(mask: NDArray[np.bool_], px: float) -> U8:
    """Grow a mask (H, W) by a disc of a diameter in pixels; 0 or 1."""
    if not mask.any():
        return np.zeros(mask.shape, np.uint8)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return (distance <= max(1, round(px / 2))).astype(np.uint8)


def blur(values: F32, sigma: float) -> F32:
    """Gaussian blur of (H, W) or (H, W, C); a wide one is done on a smaller copy, which costs the same at any size."""
    height, width = values.shape[:2]
    shrink = int(sigma / NARROW)
    if shrink < 2:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
    size = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma * size[0] / width)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _u8(values: F32) -> U8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

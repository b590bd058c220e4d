"""Compiled light: the colour of what each sample sees, samples joined to pixels.

Wrapped diffuse light from one direction with soft shadows, ambient light from above, a rim, and a rational highlight; eyes are
painted by direction from their centre.
"""

from __future__ import annotations

import math

import numpy as np

from dreamactor_cli.training.synthetic.kernels import F32, F64, I32, U8, inlined, kernel
from dreamactor_cli.training.synthetic.materials import EYE

IRIS_COS = 0.896  # of the angle between the gaze and the iris' edge
LIMBUS_COS = 0.8776
PUPIL_COS = 0.982

# Columns of a light: towards it (3), map into the shadow's picture (3 x 4), key, ambient and rim strength, key and ambient
# colour (3 each), bias of the shadow.
LIGHT_TO, LIGHT_MAP, LIGHT_KEY, LIGHT_AMBIENT, LIGHT_RIM, LIGHT_KEY_RGB, LIGHT_AMBIENT_RGB, LIGHT_BIAS = 0, 3, 15, 16, 17, 18, 21, 24
LIGHT_SIZE = 25


@inlined
def _shadow(x: float, y: float, z: float, light: F64, shadow: F32) -> float:
    """How much of the key light is kept from a point, 0..1, of the four nearest samples of the shadow's picture."""
    side = shadow.shape[0]
    m = light[LIGHT_MAP:LIGHT_KEY]
    lx = m[0] * x + m[1] * y + m[2] * z + m[3] - 0.5
    ly = m[4] * x + m[5] * y + m[6] * z + m[7] - 0.5
    lz = m[8] * x + m[9] * y + m[10] * z + m[11] + light[LIGHT_BIAS]
    hidden = 0.0
    ix, iy = int(lx), int(ly)
    if lx >= 0 and ly >= 0 and ix < side - 1 and iy < side - 1:
        fx, fy = lx - ix, ly - iy
        if shadow[iy, ix] > lz:
            hidden += (1 - fx) * (1 - fy)
        if shadow[iy, ix + 1] > lz:
            hidden += fx * (1 - fy)
        if shadow[iy + 1, ix] > lz:
            hidden += (1 - fx) * fy
        if shadow[iy + 1, ix + 1] > lz:
            hidden += fx * fy
    return hidden


@inlined
def _texel(u: float, v: float, texture: U8, offset: int, side: int, rgb: F64) -> None:
    """Multiply a colour (3,) with a square texture at (u, v), bilinear; it repeats."""
    fx, fy = (u - math.floor(u)) * (side - 1), (1.0 - (v - math.floor(v))) * (side - 1)
    ix, iy = min(int(fx), side - 2), min(int(fy), side - 2)
    fx -= ix
    fy -= iy
    at = offset + (iy * side + ix) * 3
    below = at + side * 3
    w00, w10, w01, w11 = (1 - fx) * (1 - fy) / 255, fx * (1 - fy) / 255, (1 - fx) * fy / 255, fx * fy / 255
    for k in range(3):
        rgb[k] *= texture[at + k] * w00 + texture[at + 3 + k] * w10 + texture[below + k] * w01 + texture[below + 3 + k] * w11


@inlined
def _eye_colour(cosine: float, iris: F64, rgb: F64) -> None:
    """White, iris with a dark rim, pupil: by the cosine between the gaze and the direction from the eye's centre."""
    rgb[0], rgb[1], rgb[2] = 0.86, 0.84, 0.82
    if cosine > LIMBUS_COS:
        cover = min(1.0, (cosine - LIMBUS_COS) / (IRIS_COS - LIMBUS_COS))
        tone = 0.62 if cosine < 0.921 else max(0.75, 1.25 - 8.0 * (cosine - 0.921))
        for k in range(3):
            rgb[k] = rgb[k] * (1 - cover) + iris[k] * tone * cover
    if cosine > PUPIL_COS:
        rgb[0] = rgb[1] = rgb[2] = 0.02


@inlined
def _gap(a: F64, b: F64) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2


@kernel
def _light_eye(p: F64, to_camera: F64, light: F64, centres: F64, gaze: F64, iris: F64, rgb: F64) -> None:
    """Colour (3,) of a point of an eyeball; centres and gaze directions of both eyes are (2, 3)."""
    e = 0
    if _gap(p, centres[1]) < _gap(p, centres[0]):
        e = 1
    nx, ny, nz = p[0] - centres[e, 0], p[1] - centres[e, 1], p[2] - centres[e, 2]
    length = 1 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    nx, ny, nz = nx * length, ny * length, nz * length
    _eye_colour(nx * gaze[e, 0] + ny * gaze[e, 1] + nz * gaze[e, 2], iris, rgb)
    facing = max(-0.66, nx * light[0] + ny * light[1] + nz * light[2])
    bright = (0.35 + 0.65 * (0.4 + 0.6 * facing)) * (light[LIGHT_KEY] + light[LIGHT_AMBIENT]) * 0.6
    hx, hy, hz = light[0] + to_camera[0], light[1] + to_camera[1], light[2] + to_camera[2]
    spark = max(0.0, (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)) ** 128
    for k in range(3):
        rgb[k] = rgb[k] * bright + 0.9 * spark


@kernel
def _light_surface(p: F64, n: F64, open_sky: float, to_camera: F64, light: F64, shadow: F32, m: F64, rgb: F64) -> None:
    """Light a colour (3,) at a point with a normal (3,); ``m`` is the wrap, the strength and the width of the highlight."""
    facing_camera = n[0] * to_camera[0] + n[1] * to_camera[1] + n[2] * to_camera[2]
    if facing_camera < 0:
        n[0], n[1], n[2], facing_camera = -n[0], -n[1], -n[2], -facing_camera
    facing = n[0] * light[0] + n[1] * light[1] + n[2] * light[2]
    lit = 1.0
    if facing > -0.2:
        lit = 1.0 - 0.75 * _shadow(p[0], p[1], p[2], light, shadow)
    key = light[LIGHT_KEY] * lit * max(0.0, (facing + m[0]) / (1 + m[0]))
    ambient = light[LIGHT_AMBIENT] * (0.65 + 0.35 * n[1]) * open_sky
    rim = light[LIGHT_RIM] * (1 - facing_camera) ** 3 * open_sky * 0.3
    hx, hy, hz = light[0] + to_camera[0], light[1] + to_camera[1], light[2] + to_camera[2]
    half = (n[0] * hx + n[1] * hy + n[2] * hz) / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
    shine = 0.0
    if half > 0:
        shine = half / (m[2] * (1 - half) + half)
        shine = m[1] * shine * shine * lit * light[LIGHT_KEY]
    for k in range(3):
        key_rgb, ambient_rgb = light[LIGHT_KEY_RGB + k], light[LIGHT_AMBIENT_RGB + k]
        rgb[k] = rgb[k] * (key * key_rgb + ambient * ambient_rgb) + shine * key_rgb + rim * ambient_rgb


@kernel
def _shade(t: int, w0: float, w1: float, mesh: tuple, light: F64, shadow: F32, eyes: tuple, work: F64) -> None:
    """Colour of a point of triangle t, into ``work[0]``; ``work`` is (4, 3)."""
    triangles, uv, material, v, n, ao, texture, offset, side, look, camera = mesh
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    w2 = 1 - w0 - w1
    rgb, p, normal, to_camera = work[0], work[1], work[2], work[3]
    far = near = 0.0
    for k in range(3):
        p[k] = w0 * v[a, k] + w1 * v[b, k] + w2 * v[c, k]
        normal[k] = w0 * n[a, k] + w1 * n[b, k] + w2 * n[c, k]
        to_camera[k] = camera[k] - p[k]
        far += to_camera[k] ** 2
        near += normal[k] ** 2
    far, near = 1 / math.sqrt(far + 1e-12), 1 / math.sqrt(near + 1e-12)
    for k in range(3):
        to_camera[k] *= far
        normal[k] *= near
    m = material[t]
    if m == EYE:
        _light_eye(p, to_camera, light, eyes[0], eyes[1], eyes[2], rgb)
        return
    for k in range(3):
        rgb[k] = look[m, k]
    if offset[m] >= 0:
        u = w0 * uv[t, 0, 0] + w1 * uv[t, 1, 0] + w2 * uv[t, 2, 0]
        _texel(u, w0 * uv[t, 0, 1] + w1 * uv[t, 1, 1] + w2 * uv[t, 2, 1], texture, offset[m], side[m], rgb)
    open_sky = w0 * ao[a] + w1 * ao[b] + w2 * ao[c]
    _light_surface(p, normal, open_sky, to_camera, light, shadow, look[m, 3:], rgb)


@kernel
def resolve(z: F32, seen: I32, bary: F32, mesh: tuple, light: F64, shadow: F32, eyes: tuple, back: F32, out: tuple) -> None:
    """Shade the samples and join them to pixels.

    Args:
        z, seen, bary: of `kernels.rasterise`, (H s, W s): s x s samples a pixel.
        mesh: triangles (N, 3), uv (N, 3, 2), material (N,), vertices and normals (V, 3), openness to the sky (V,), textures one
            after the other (.,), first value and side of each material's texture (M,), colour, wrap, highlight and its
            sharpness of each material (M, 6), position of the camera (3,).
        light: (`LIGHT_SIZE`,).
        shadow: of `kernels.rasterise_depth`, (S, S).
        eyes: centres and gaze directions (2, 3), colour of the iris (3,).
        back: (H, W, 3), 0..1.
        out: picture u8 (H, W, 3), matte u8 (H, W), material i8 (H, W; -1 for none), depth (H, W).
    """
    picture, matte, label, depth = out
    s = z.shape[0] // picture.shape[0]
    work = np.zeros((4, 3))
    share = 1.0 / (s * s)
    material = mesh[2]
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            r = g = b = 0.0
            count, last, last_z = 0, -1, 0.0
            for j in range(s * s):
                sy, sx = y * s + j // s, x * s + j % s
                t = seen[sy, sx]
                if t < 0:
                    continue
                count += 1
                # Neighbours of one surface share a colour: a quarter of the work.
                if material[t] != last or last == EYE or abs(z[sy, sx] - last_z) >= 0.004 * last_z:
                    _shade(t, bary[sy, sx, 0], bary[sy, sx, 1], mesh, light, shadow, eyes, work)
                    last, last_z = material[t], z[sy, sx]
                r += work[0, 0]
                g += work[0, 1]
                b += work[0, 2]
            empty = s * s - count
            picture[y, x, 0] = min(255.0, max(0.0, (r + back[y, x, 0] * empty) * share * 255 + 0.5))
            picture[y, x, 1] = min(255.0, max(0.0, (g + back[y, x, 1] * empty) * share * 255 + 0.5))
            picture[y, x, 2] = min(255.0, max(0.0, (b + back[y, x, 2] * empty) * share * 255 + 0.5))
            matte[y, x] = int(255 * count * share + 0.5)
            label[y, x] = last
            depth[y, x] = 0.1 / last_z if count else np.inf

"""Compiled light: the colour of what each sample sees, samples joined to pixels.

Wrapped diffuse light from one direction with soft shadows, ambient light from above, a rim, and a rational highlight; eyes are
painted by direction from their centre.
"""

from __future__ import annotations

import math

import numpy as np

from dreamactor_cli.training.synthetic.kernels import F32, F64, I8, I32, I64, U8, inlined, kernel
from dreamactor_cli.training.synthetic.materials import EYE

IRIS_COS = 0.896  # of the angle between the gaze and the iris' edge
LIMBUS_COS = 0.8776
PUPIL_COS = 0.982

# Columns of a light: towards it (3), map into the shadow's picture (3 x 4), key, ambient and rim strength, key and ambient
# colour (3 each), bias of the shadow.
LIGHT_MAP, LIGHT_KEY, LIGHT_AMBIENT, LIGHT_RIM = 3, 15, 16, 17
LIGHT_KEY_RGB, LIGHT_AMBIENT_RGB, LIGHT_BIAS, LIGHT_SIZE = 18, 21, 24, 25


@inlined
def _shadow(x: float, y: float, z: float, light: F64, shadow: F32) -> float:
    """How much of the key light is kept from a point, 0..1, of the four nearest samples of the shadow's picture."""
    side = shadow.shape[0]
    lx = light[3] * x + light[4] * y + light[5] * z + light[6] - 0.5
    ly = light[7] * x + light[8] * y + light[9] * z + light[10] - 0.5
    lz = light[11] * x + light[12] * y + light[13] * z + light[14] + light[LIGHT_BIAS]
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
def _texel(u: float, v: float, texture: U8, offset: int, side: int) -> tuple[float, float, float]:
    """Colour of a square texture at (u, v), bilinear; it repeats."""
    fx, fy = (u - math.floor(u)) * (side - 1), (1.0 - (v - math.floor(v))) * (side - 1)
    ix, iy = min(int(fx), side - 2), min(int(fy), side - 2)
    fx -= ix
    fy -= iy
    a = offset + (iy * side + ix) * 3
    b = a + side * 3
    w00, w10, w01, w11 = (1 - fx) * (1 - fy) / 255, fx * (1 - fy) / 255, (1 - fx) * fy / 255, fx * fy / 255
    return (
        texture[a] * w00 + texture[a + 3] * w10 + texture[b] * w01 + texture[b + 3] * w11,
        texture[a + 1] * w00 + texture[a + 4] * w10 + texture[b + 1] * w01 + texture[b + 4] * w11,
        texture[a + 2] * w00 + texture[a + 5] * w10 + texture[b + 2] * w01 + texture[b + 5] * w11,
    )


@inlined
def _eye_colour(cosine: float, iris: F64) -> tuple[float, float, float]:
    """White, iris with a dark rim, pupil: by the cosine between the gaze and the direction from the eye's centre."""
    r, g, b = 0.86, 0.84, 0.82
    if cosine > LIMBUS_COS:
        cover = min(1.0, (cosine - LIMBUS_COS) / (IRIS_COS - LIMBUS_COS))
        tone = cover * (0.62 if cosine < 0.921 else max(0.75, 1.25 - 8.0 * (cosine - 0.921)))
        r, g, b = r * (1 - cover) + iris[0] * tone, g * (1 - cover) + iris[1] * tone, b * (1 - cover) + iris[2] * tone
    if cosine > PUPIL_COS:
        r = g = b = 0.02
    return r, g, b


@kernel
def _light_eye(
    x: float, y: float, z: float, cx: float, cy: float, cz: float, light: F64, centers: F64, gaze: F64, iris: F64
) -> tuple[float, float, float]:
    """Colour of a point of an eyeball seen from the direction c; centres (2, 3), gaze and colour of the iris (3,)."""
    left = (x - centers[0, 0]) ** 2 + (y - centers[0, 1]) ** 2 + (z - centers[0, 2]) ** 2
    right = (x - centers[1, 0]) ** 2 + (y - centers[1, 1]) ** 2 + (z - centers[1, 2]) ** 2
    e, far = (1, right) if right < left else (0, left)
    far = 1 / math.sqrt(far + 1e-12)
    nx, ny, nz = (x - centers[e, 0]) * far, (y - centers[e, 1]) * far, (z - centers[e, 2]) * far
    r, g, b = _eye_colour(nx * gaze[0] + ny * gaze[1] + nz * gaze[2], iris)
    facing = max(-0.66, nx * light[0] + ny * light[1] + nz * light[2])
    bright = (0.35 + 0.65 * (0.4 + 0.6 * facing)) * (light[LIGHT_KEY] + light[LIGHT_AMBIENT]) * 0.6
    hx, hy, hz = light[0] + cx, light[1] + cy, light[2] + cz
    spark = max(0.0, (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12))
    for _ in range(7):
        spark *= spark
    spark *= 0.9
    return r * bright + spark, g * bright + spark, b * bright + spark


@inlined
def _light_surface(
    x: float, y: float, z: float, nx: float, ny: float, nz: float, cx: float, cy: float, cz: float,
    open_sky: float, light: F64, shadow: F32, look: F64, m: int,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Light on a point with normal n seen from the direction c: key, ambient, highlight, rim."""
    facing_camera = nx * cx + ny * cy + nz * cz
    if facing_camera < 0:
        nx, ny, nz, facing_camera = -nx, -ny, -nz, -facing_camera
    facing = nx * light[0] + ny * light[1] + nz * light[2]
    lit = 1.0
    if facing > -0.2:
        lit = 1.0 - 0.75 * _shadow(x, y, z, light, shadow)
    wrap = look[m, 3]
    key = light[LIGHT_KEY] * lit * max(0.0, (facing + wrap) / (1 + wrap))
    ambient = light[LIGHT_AMBIENT] * (0.65 + 0.35 * ny) * open_sky
    rim = light[LIGHT_RIM] * (1 - facing_camera) ** 3 * open_sky * 0.3
    hx, hy, hz = light[0] + cx, light[1] + cy, light[2] + cz
    half = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
    shine = 0.0
    if half > 0:
        shine = half / (look[m, 5] * (1 - half) + half)
        shine = look[m, 4] * shine * shine * lit * light[LIGHT_KEY]
    return key, ambient, shine, rim


@inlined
def _shade(
    t: int, w0: float, w1: float, triangles: I32, uv: F32, material: I32, v: F32, n: F32, ao: F32, texture: U8, offset: I64,
    side: I64, look: F64, camera: F64, light: F64, shadow: F32, centers: F64, gaze: F64, iris: F64,
) -> tuple[float, float, float]:  # fmt: skip
    """Colour of a point of triangle t; the arrays are those of `resolve`."""
    a, b, c, m = triangles[t, 0], triangles[t, 1], triangles[t, 2], material[t]
    w2 = 1 - w0 - w1
    x, y, z = (w0 * v[a, 0] + w1 * v[b, 0] + w2 * v[c, 0], w0 * v[a, 1] + w1 * v[b, 1] + w2 * v[c, 1],
               w0 * v[a, 2] + w1 * v[b, 2] + w2 * v[c, 2])  # fmt: skip
    cx, cy, cz = camera[0] - x, camera[1] - y, camera[2] - z
    near = 1 / math.sqrt(cx * cx + cy * cy + cz * cz + 1e-12)
    cx, cy, cz = cx * near, cy * near, cz * near
    if m == EYE:
        return _light_eye(x, y, z, cx, cy, cz, light, centers, gaze, iris)
    nx, ny, nz = (w0 * n[a, 0] + w1 * n[b, 0] + w2 * n[c, 0], w0 * n[a, 1] + w1 * n[b, 1] + w2 * n[c, 1],
                  w0 * n[a, 2] + w1 * n[b, 2] + w2 * n[c, 2])  # fmt: skip
    length = 1 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    open_sky = w0 * ao[a] + w1 * ao[b] + w2 * ao[c]
    key, ambient, shine, rim = _light_surface(
        x, y, z, nx * length, ny * length, nz * length, cx, cy, cz, open_sky, light, shadow, look, m
    )
    red, green, blue = look[m, 0], look[m, 1], look[m, 2]
    if offset[m] >= 0:
        tu = w0 * uv[t, 0, 0] + w1 * uv[t, 1, 0] + w2 * uv[t, 2, 0]
        tr, tg, tb = _texel(tu, w0 * uv[t, 0, 1] + w1 * uv[t, 1, 1] + w2 * uv[t, 2, 1], texture, offset[m], side[m])
        red, green, blue = red * tr, green * tg, blue * tb
    k, q = LIGHT_KEY_RGB, LIGHT_AMBIENT_RGB
    return (
        red * (key * light[k] + ambient * light[q]) + shine * light[k] + rim * light[q],
        green * (key * light[k + 1] + ambient * light[q + 1]) + shine * light[k + 1] + rim * light[q + 1],
        blue * (key * light[k + 2] + ambient * light[q + 2]) + shine * light[k + 2] + rim * light[q + 2],
    )


@kernel
def resolve(
    z: F32, seen: I32, bary: F32, triangles: I32, uv: F32, material: I32, v: F32, n: F32, ao: F32, texture: U8, offset: I64,
    side: I64, look: F64, camera: F64, light: F64, shadow: F32, centers: F64, gaze: F64, iris: F64, back: F32, picture: U8,
    matte: U8, label: I8, depth: F32,
) -> None:  # fmt: skip
    """Shade the samples and join them to pixels.

    Args:
        z, seen, bary: of `kernels.rasterise`, (H s, W s): s x s samples a pixel.
        triangles, uv, material: (N, 3), (N, 3, 2), (N,).
        v, n, ao: vertices and normals (V, 3), openness to the sky (V,).
        texture, offset, side: of `person.Textures`.
        look: of `materials.looks`, (M, 6).
        camera: its position, (3,).
        light: (`LIGHT_SIZE`,).
        shadow: of `kernels.rasterise_depth`, (S, S).
        centers, gaze, iris: of the eyes (2, 3), their direction and colour (3,).
        back: (H, W, 3), 0..1.
        picture, matte, label, depth: written: u8 (H, W, 3), u8 (H, W), material (H, W; -1 for none), metres (H, W).
    """
    s = z.shape[0] // picture.shape[0]
    share = 1.0 / (s * s)
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            r = g = b = lr = lg = lb = 0.0
            count, last, last_z = 0, -1, np.float32(0)
            for j in range(s * s):
                sy, sx = y * s + j // s, x * s + j % s
                t = seen[sy, sx]
                if t < 0:
                    continue
                count += 1
                # Neighbours of one surface share a colour: a quarter of the work.
                if material[t] != last or last == EYE or abs(z[sy, sx] - last_z) >= np.float32(0.004) * last_z:
                    lr, lg, lb = _shade(
                        t, bary[sy, sx, 0], bary[sy, sx, 1], triangles, uv, material, v, n, ao, texture, offset, side, look,
                        camera, light, shadow, centers, gaze, iris,
                    )  # fmt: skip
                    last, last_z = material[t], z[sy, sx]
                r += lr
                g += lg
                b += lb
            empty = s * s - count
            picture[y, x, 0] = int(min(255.0, max(0.0, (r + back[y, x, 0] * empty) * share * 255 + 0.5)))
            picture[y, x, 1] = int(min(255.0, max(0.0, (g + back[y, x, 1] * empty) * share * 255 + 0.5)))
            picture[y, x, 2] = int(min(255.0, max(0.0, (b + back[y, x, 2] * empty) * share * 255 + 0.5)))
            matte[y, x] = int(255 * count * share + 0.5)
            label[y, x] = last
            depth[y, x] = 0.1 / last_z if count else np.inf

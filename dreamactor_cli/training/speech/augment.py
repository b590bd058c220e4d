"""Microphones, rooms, noise and other throats, made of clean synthetic speech in the mel domain.

Everything works on mel power, (B, 64, T), scaled so that 5 % of each item's frames are louder than 1. A log-mel of a sum is
close to the sum of the powers, so that noise and reverberation need no sound. Random numbers come from torch's default
generator, which `examples` seeds for every batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_FRAME = 0.01  # seconds
_NOTHING = 1e-8  # power of digital silence
_HARMONICS, _SEMITONES = 12, 48


class Heard(NamedTuple):
    """Augmented speech.

    Attributes:
        mel: (B, 64, T), log-mel.
        is_noise: (B,), whether nothing of the speech is left.
    """

    mel: Tensor
    is_noise: Tensor


def augment(mel: Tensor) -> Heard:
    """Let speech be heard by other microphones, in other rooms, from other speakers.

    Args:
        mel: (B, 64, T), log-mel; each item is also another one's babble.
    """
    power = _levelled(mel.exp())
    babble = power.roll(1, 0)
    for change in (_other_throat, _blurred, _equalised, _other_contrast, _reverberated):
        power = change(power)
    is_noise = _chance(len(power), 0.06).bool()
    power = torch.where(is_noise[:, None, None], torch.full_like(power, _NOTHING), power)
    power = power + _babble(babble) * (~is_noise)[:, None, None] + _music(power, is_noise) + _noise(power, is_noise)
    power = _band_limited(power)
    floor = 10 ** -(3.5 + 3.5 * torch.rand(len(power), 1, 1))
    return Heard(_masked(torch.log(power + floor)), is_noise)


def _levelled(power: Tensor) -> Tensor:
    return power / (torch.quantile(power.mean(1), 0.95, dim=1)[:, None, None] + _NOTHING)


def _chance(count: int, probability: float) -> Tensor:
    """1 with some probability, else 0, (B,)."""
    return (torch.rand(count) < probability).float()


def _uniform(shape: tuple[int, ...], low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(shape)


def _decibels(value: Tensor) -> Tensor:
    return 10 ** (value / 10)


def _other_throat(power: Tensor) -> Tensor:
    """A longer or shorter vocal tract: the mel axis is stretched by up to 13 % and moved by up to 1.5 bands."""
    batch, bands, frames = power.shape
    stretch = _uniform((batch, 1), -0.13, 0.13) * _chance(batch, 0.8)[:, None]
    at = (torch.arange(bands) * (1 + stretch) + _uniform((batch, 1), -1.5, 1.5)).clamp(0, bands - 1.001)
    below = at.long()
    share = (at - below)[..., None]
    lower = power.gather(1, below[..., None].expand(-1, -1, frames))
    upper = power.gather(1, (below + 1)[..., None].expand(-1, -1, frames))
    return lower + (upper - lower) * share


def _blurred(power: Tensor) -> Tensor:
    """Harmonics that melt together, as those of a low or hoarse voice do."""
    times = torch.randint(0, 4, (len(power), 1, 1))
    for done in range(3):
        padded = functional.pad(power, (0, 0, 1, 1), mode="replicate")
        power = torch.where(times > done, padded[:, :-2] / 4 + power / 2 + padded[:, 2:] / 4, power)
    return power


def _equalised(power: Tensor) -> Tensor:
    """A tilt of up to 14 dB over the band, and three broad bumps of up to 7 dB."""
    batch, bands, _ = power.shape
    axis = torch.linspace(-1, 1, bands)
    curve = _uniform((batch, 1), -7, 7) * axis
    for _ in range(3):
        centre, width, gain = _uniform((batch, 1), -1, 1), _uniform((batch, 1), 0.1, 0.5), _uniform((batch, 1), -7, 7)
        curve = curve + gain * torch.exp(-(((axis - centre) / width) ** 2))
    return power * _decibels(curve)[..., None]


def _other_contrast(power: Tensor) -> Tensor:
    """A compressor, or its contrary."""
    return (power + 1e-7) ** _uniform((len(power), 1, 1), 0.8, 1.2)


def _reverberated(power: Tensor) -> Tensor:
    """A room: exponential decay over 0.08 to 0.8 s, 2 to 20 dB below the direct sound."""
    batch, bands, frames = power.shape
    taps = 40
    decay = 0.08 + 0.7 * torch.rand(batch, 1) ** 1.5
    room = torch.exp(-13.8 * torch.arange(taps) * _FRAME / decay)
    room[:, 0] = 0
    room = room / room.sum(1, keepdim=True) * _decibels(-_uniform((batch, 1), 2, 20)) * _chance(batch, 0.6)[:, None]
    room[:, 0] = 1
    kernel = room.flip(1)[:, None].repeat_interleave(bands, 0)
    padded = functional.pad(power, (taps - 1, 0)).reshape(1, batch * bands, -1)
    return functional.conv1d(padded, kernel, groups=batch * bands).reshape(batch, bands, frames)


def _babble(other: Tensor) -> Tensor:
    """Somebody else in the background, at 12 dB or less."""
    return other * (_decibels(-_uniform((len(other), 1), 12, 37)) * _chance(len(other), 0.2)[:, None])[..., None]


def _noise(power: Tensor, is_noise: Tensor) -> Tensor:
    """Noise of some colour, stationary or swelling, at times with hum, at 3 dB or less; louder where it is all there is."""
    batch, bands, frames = power.shape
    colour = _decibels(_uniform((batch, 1), -10, 10) * torch.linspace(-1, 1, bands))[..., None]
    hum = torch.zeros(batch, bands, 1).scatter_(1, torch.randint(0, bands, (batch, 4, 1)), 8 * torch.rand(batch, 4, 1))
    colour = colour + hum * _chance(batch, 0.25)[:, None, None]
    time = torch.arange(frames) * _FRAME
    swell = torch.sin(6.28 * (_uniform((batch, 1), 0.2, 3.2) * time + torch.rand(batch, 1)))[:, None]
    swell = 1 + 0.5 * swell * _chance(batch, 0.5)[:, None, None]
    grain = 0.5 - 0.5 * torch.log(torch.rand(batch, bands, frames) + 1e-6)
    ratio = torch.where(is_noise, _uniform((batch,), -3, 40), _uniform((batch,), 3, 48))
    return colour * swell * grain * _decibels(-ratio)[:, None, None]


def _music(power: Tensor, is_noise: Tensor) -> Tensor:
    """Three instruments in the background of some, at 3 dB or less, and as all there is of some noise."""
    batch, _, frames = power.shape
    notes = sum(_melody(batch, frames) for _ in range(3))
    level = _decibels(-_uniform((batch,), 3, 25))
    played = torch.where(is_noise, _chance(batch, 0.5), level * _chance(batch, 0.12))
    return _levelled(notes) * played[:, None, None]


def _melody(batch: int, frames: int) -> Tensor:
    """Notes that begin suddenly and die away, (B, 64, T)."""
    starts = torch.rand(batch, frames) < 1 / torch.randint(12, 60, (batch, 1))
    starts[:, 0] = True
    number = starts.long().cumsum(1) - 1
    pitch = torch.randint(0, _SEMITONES, (batch, frames)).gather(1, number)
    time = torch.arange(frames).expand(batch, -1)
    began = torch.where(starts, time, torch.zeros_like(time)).cummax(1).values
    loudness = torch.exp(-(time - began) * _FRAME / _uniform((batch, 1), 0.1, 1.0))
    return (_overtones()[pitch] * loudness[..., None]).transpose(1, 2)


def _overtones() -> Tensor:
    """Mel bands that a note of each semitone above 110 Hz fills, (48, 64)."""
    from dreamactor_cli.models.speech_features import NUM_MELS

    base = 110 * 2 ** (torch.arange(_SEMITONES) / 12)
    order = torch.arange(1, _HARMONICS + 1)
    mel = 2595 * torch.log10(1 + base[:, None] * order / 700)
    low, high = 2595 * torch.log10(1 + torch.tensor([60.0, 7600.0]) / 700)
    band = ((mel - low) / (high - low) * NUM_MELS).long().clamp(0, NUM_MELS - 1)
    return torch.zeros(_SEMITONES, NUM_MELS).scatter_add_(1, band, (1.0 / order**1.5).expand(_SEMITONES, -1))


def _band_limited(power: Tensor) -> Tensor:
    """Telephones and small microphones: nothing above or below some band."""
    batch, bands, _ = power.shape
    band = torch.arange(bands)
    high = torch.where(_chance(batch, 0.25).bool(), torch.randint(40, bands, (batch,)), bands)
    low = torch.where(_chance(batch, 0.25).bool(), torch.randint(0, 6, (batch,)), 0)
    heard = (band >= low[:, None]) & (band < high[:, None])
    return torch.where(heard[..., None], power, power * 1e-3)


def _masked(mel: Tensor) -> Tensor:
    """Stripes without information (SpecAugment, Park et al. 2019)."""
    batch, bands, frames = mel.shape
    mean = mel.mean(2, keepdim=True).expand_as(mel)
    for axis, size in ((1, bands), (1, bands), (2, frames)):
        first, width = torch.randint(0, size, (batch, 1)), torch.randint(0, 6, (batch, 1))
        at = torch.arange(size)
        stripe = (at >= first) & (at < first + width)
        mel = torch.where(stripe.unsqueeze(3 - axis), mean, mel)
    return mel

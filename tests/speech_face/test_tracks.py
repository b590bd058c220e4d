"""Articulation becomes curves: openings in inter-ocular units, closures, rests, and what the user asks for."""

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls
from dreamactor_cli.speech_face.tracks import LEAD, OPENING, MouthTracks, mouth_tracks


def in_time(speech: Controls, **options: float) -> MouthTracks:
    """Tracks of an articulation that is already in the mouth's time."""
    return mouth_tracks(speech, lead=-LEAD, **options)


def test_an_opening_is_in_proportion_to_the_aperture(say) -> None:
    aperture = np.linspace(0, 1, 50)
    tracks = in_time(say(50, aperture=aperture))
    np.testing.assert_allclose(tracks.opening, np.maximum(OPENING[0] * (aperture - OPENING[1]), 0), atol=0.02)


def test_lips_touch_at_a_closure_and_only_there(say) -> None:
    tracks = in_time(say(100, aperture=0.6, closure={40: 0.9, 41: 0.9}), gain=1.7)
    assert (tracks.opening[40:42] == 0).all()
    assert (tracks.pressed[40:42] == 1).all()
    assert (tracks.opening[:36] > 0.3).all()
    assert (tracks.opening[46:] > 0.3).all()


def test_the_mouth_rests_in_silence_but_not_in_a_breath(say) -> None:
    activity = np.ones(150)
    activity[20:30] = 0  # 0.4 s
    activity[80:140] = 0  # 2.4 s
    tracks = in_time(say(150, aperture=0.35, jaw=0.3, activity=activity))
    assert tracks.rest[20:30].max() < 0.05
    assert tracks.opening[20:30].min() > 0.08
    assert tracks.rest[95:125].min() > 0.95
    assert tracks.opening[95:125].max() < 0.01
    assert tracks.jaw[95:125].max() < 0.02


def test_gain_is_a_factor(say) -> None:
    speech = say(60, aperture=0.4, width=0.5, rounding=0.2)
    one, more = mouth_tracks(speech), mouth_tracks(speech, gain=1.5)
    for name in ("opening", "width", "rounding"):
        np.testing.assert_allclose(getattr(more, name), 1.5 * getattr(one, name), rtol=1e-6)


@pytest.mark.parametrize("lead", [0.08, -0.04])
def test_a_lead_moves_the_mouth_before_the_sound(say, lead) -> None:
    speech = say(100, aperture=0.5 + 0.4 * np.sin(np.arange(100) / 5))
    plain, early = in_time(speech).opening, mouth_tracks(speech, lead=lead - LEAD).opening
    natural = mouth_tracks(speech).opening
    shift = round(lead * 25)
    inner = np.arange(20, 80)
    np.testing.assert_allclose(early[inner], plain[inner + shift], atol=1e-6)
    np.testing.assert_allclose(natural[inner], 0.75 * plain[inner + 1] + 0.25 * plain[inner + 2], atol=0.01)  # 50 ms


def test_tracks_are_cut_and_lengthened_by_rest(say) -> None:
    tracks = in_time(say(50, aperture=0.5))
    assert len(tracks.of_length(20)) == 20
    longer = tracks.of_length(80)
    assert len(longer) == 80
    assert (longer.rest[50:] == 1).all()
    assert not longer.opening[50:].any()
    assert longer.articulation.shape == (80, 9)

"""Training of the speech network on synthetic speech alone: ``dreamactor train speech``.

Three free synthesisers speak the sentences of ``sentences.toml`` and tell when each sound begins; `targets` turns sounds into
what a mouth does meanwhile. They are tools of the build, not of the product::

    apt-get install espeak-ng-data libespeak-ng1 flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts festvox-ru

The order of the work: `corpus` (speech, log-mels and targets in one file) -> `fit` (the network, resumable) -> `evaluate`
(held-out voices and languages).
"""

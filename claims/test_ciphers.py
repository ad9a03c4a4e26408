"""Does ICL learn, or does it only recall? (Ciphers.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import accuracy, gold_probability
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge

Pair = tuple[Observation, Observation]


# A claim, and no gate of other claims: where few words recur, its gain is small however
# much is learned, and a gate would shut. Recall of a task without its labels is what
# the ICL gate excludes.
@claim(on="text", needs_icl=True, needs_labels=True)
@pytest.mark.usefixtures("cipher_can_be_learned")
def test_cipher(
    icl: Observation,
    icl_enciphered: Pair,
    gd_enciphered: Pair,
    untrained_icl_enciphered: Pair,
    judge: Judge,
) -> None:
    """ICL learns what words stand for: it follows a one-to-one substitution better.

    Title:
        ICL learns a cipher

    Source:
        Fang et al. 2025, arXiv:2504.19395 (ICL ciphers)

    Measured:
        probability of the right label (the accuracy of an answer drawn by it) if half
        the words are substituted one-to-one, less that if demonstrations draw anew
        what each occurrence becomes; also the accuracy of the likeliest answer

    Reported:
        small but consistent, on four datasets and six models

    Controls:
        zero-shot, which is 0 because the queries read the same; ICL on the rows' own
        words; the same difference for GD

    Margin:
        a fifth of the .1 by which accuracies may differ: the gain is said to be small,
        and is no more than the share of queries with words that recur
    """
    key, no_key = icl_enciphered
    gain = gold_probability(key).minus(gold_probability(no_key))
    bare, of_gd = (
        gold_probability(one).minus(gold_probability(other))
        for one, other in (untrained_icl_enciphered, gd_enciphered)
    )
    judge.record(GD=of_gd, own_words=gold_probability(icl))
    judge.record(one_to_one=gold_probability(key), anew=gold_probability(no_key))
    judge.record(one_to_one=accuracy(key), anew=accuracy(no_key))
    judge.control(gain, [bare], better="higher")
    judge.exceeds(gain, margin=0.02)

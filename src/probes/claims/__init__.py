"""Claims: what a test under ``@claim`` says, and where it applies.

=================  ==================================================================
``declaration``    ``@claim``, and the checks that it makes when a file is imported
``docstring``      reads the sentence and the sections of the test's docstring
``card``           ``ClaimCard``: the declared facts, and where the claim applies
``judge_calls``    reads the call of the judge: its margin, and what refutes the claim
``controls``       names the controls among the observations that a claim asks for
=================  ==================================================================
"""

from probes.claims.card import ClaimCard
from probes.claims.declaration import claim

__all__ = ["ClaimCard", "claim"]

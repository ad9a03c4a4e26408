"""Verdicts: from measurements to *supported*, *refuted* or *inconclusive*.

==========================  =========================================================
``judge``                   what a claim calls: one judging method, one verdict
``secondary_results``       what a row shows in addition to the verdict
``judgement``               a verdict and the effect that it rests on: plain types
``outcomes``                what a verdict raises, given the record of an earlier run
``thresholds``              every threshold, each with its reason
``equivalence``             the equivalence test (TOST)
``superiority``             the superiority test
``ceiling``                 a similarity on the way from its floor to its ceiling
``exact``                   verdicts without sampling: algebra, and a census
``decision``                p-values, and the verdict that follows from them
``crossed_means``           means of crossed sets and queries: variance components
``power``                   how many demonstration sets decide a cell
``group_sequential``        interim analyses: the level of each look
``partial_identification``  verdicts on values that are known only up to bounds
``negative_controls``       whether untrained networks score alike
``false_discovery``         corrections of p-values over many cells
==========================  =========================================================
"""

"""Observations: requests to learners, and the learners' answers.

``request``: a learner, a model and a task, with the content key of the answer.
``observation``: a learner's answers.
``learner_cost``: how much text a learner makes a model read, counted beforehand.
``truncation``: the part of a large vocabulary that answers keep.
``token_samples``: nested random samples of a vocabulary.
``packed_numbers``: ids and rounded numbers in few bytes.
``token_sums``: sums over the vocabulary, exact or estimated.
``likeliest_tokens``: the likeliest tokens of an answer.
``mixture``: the average of several answers.
"""

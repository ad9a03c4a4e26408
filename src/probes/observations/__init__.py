"""Observations: requests to learners, and the learners' answers.

``request``: a learner, a model and a task, with the content key of the answer.
``observation``: a learner's answers.
``learner_cost``: how much text a learner makes a model read, counted beforehand.
``truncation``: the part of a large vocabulary that answers keep.
``common_support``: answers of several learners on one set of outcomes.
``mixture``: the average of several answers.
"""

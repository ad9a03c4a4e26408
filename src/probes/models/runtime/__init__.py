"""How models run on this machine: memory and threads.

- ``memory``: what training needs, what is free, and the refusal of what does not fit.
- ``oom_halving``: batches that do not fit on a GPU are run in halves.
- ``thread_pool``: independent tasks in parallel threads.
"""

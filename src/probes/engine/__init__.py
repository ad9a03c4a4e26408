"""Where learners run, and where their observations are stored.

| module | what is inside |
| --- | --- |
| ``observer`` | ``Observer``: makes each observation once |
| ``time_limit`` | a limit on the time of one observation |
| ``store`` | ``Store``: one file for each observation, named by its content key |
| ``run_store`` | the store of a run, which continues in memory if writing fails |
| ``store_versions`` | says that an upgrade sets stored observations aside |
| ``store_inventory`` | list, verify, prune and clean a store |
| ``observation_file`` | an observation as bytes, with a checksum |
| ``engine_choice`` | the options ``--engine`` and ``--shard`` |
| ``protocol`` | what engines have in common: ``Engine``, ``RequestResult``, frames |
| ``local_pool`` | ``--engine local``: processes of this machine |
| ``ray_cluster`` | ``--engine ray``: actors of a Ray cluster |
| ``worker`` | the process that measures for an engine |
| ``request_json`` | requests as JSON, for workers |
| ``requests_by_work`` | requests that share a training, to be measured together |
| ``work_queue`` | which worker gets which request: whole models first |
| ``scheduling`` | the same for tests in xdist workers |
| ``worker_resources`` | cores, GPUs and the share of each worker |
| ``progress`` | status files and the progress line |
| ``request_sizes`` | parameters and prompt tokens of a request, before it runs |
| ``cost_model`` | tokens and FLOPs of a plan, before it runs |
| ``throughput`` | FLOP/s that a run reached |
| ``machine_speed`` | how long counted work takes on this machine |
| ``matmul_peak`` | FLOP/s that a device can reach |
"""

"""How often a verdict is wrong, measured on simulations whose truth is known.

| module | what is inside |
| --- | --- |
| ``simulations`` | draws values with a known mean |
| ``rules`` | the instrument's decision rule, and the rules that it was chosen over |
| ``study`` | error rates of each rule in single cells |
| ``stopping`` | error rates with interim analyses |
| ``nested_groups`` | error rates where demonstration sets come from groups of rows |
| ``many_cells`` | error rates of whole matrices, by correction |
| ``whole_instrument`` | the whole instrument on networks of known truth |
| ``plants``, ``answer_noise`` | learners that answer in place of ICL or of GD |
| ``planted_observer`` | lets them answer |
| ``planted_cells``, ``planted_runs`` | runs of the shipped claims with planted truths |
| ``search_worlds`` | how often the search for GD's rate is right about itself |
| ``planted_tables``, ``planted_report`` | the page of planted truths and searches |
| ``study_parts`` | the parts of the study, and how they run in parallel |
| ``tables``, ``group_tables`` | the results as tables |
| ``error_rate_figure`` | the results as a figure |
| ``study_report`` | the page and the files that hold them |

``probes calibrate`` runs the study. Besides it, only ``pytest_plugin.planting``, which
runs with planted truths load, imports this package.
"""

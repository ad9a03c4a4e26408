"""How often a verdict is wrong, measured on simulations whose truth is known.

| module | what is inside |
| --- | --- |
| ``simulations`` | draws values with a known mean |
| ``rules`` | the instrument's decision rule, and the rules that it was chosen over |
| ``study`` | error rates of each rule in single cells |
| ``stopping`` | error rates with interim analyses |
| ``many_cells`` | error rates of whole matrices, by correction |
| ``whole_instrument`` | the whole instrument on networks of known truth |
| ``study_parts`` | the parts of the study, and how they run in parallel |
| ``tables``, ``error_rate_figure`` | the results as tables and a figure |
| ``study_report`` | the page and the files that hold them |

``probes calibrate`` runs the study; nothing else imports this package.
"""

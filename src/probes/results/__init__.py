"""The rows of a run: built, corrected, written, read back and compared.

| module | what is inside |
| --- | --- |
| ``row_shape`` | every field of a row, once; the JSON schema is generated from it |
| ``json_shapes`` | shapes of JSON values, which ``row_shape`` is made of |
| ``rows`` | build a row, order rows, write ``results.jsonl`` |
| ``matrix_correction`` | correct the verdicts for the number of cells |
| ``provenance`` | the code, machine and settings that made a row |
| ``reading`` | read the rows of a finished run, within bounds |
| ``record`` | the verdicts of an earlier run, ``expected.json`` |
| ``comparison`` | what changed between two runs, cell by cell |
"""

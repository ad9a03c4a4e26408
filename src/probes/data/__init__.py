"""Data: rows and regression tasks, drawn and written as prompts.

Rows
    ``template``: a row, and the template that turns it into a prompt.
    ``row_files``, ``record_files``, ``hub``: rows of local files and of the Hub.
    ``datasets``: finds a dataset and reads it once. ``labelled_rows`` holds it.
    ``label_counts``: how many rows each label has.

Tasks
    ``text_tasks``: the demonstrations and queries of a cell, from ``row_pools``.
    ``changed_labels``, ``unrelated_text``: demonstrations with other labels or words.
    ``regression_tasks``: linear-regression tasks.

Tokens
    ``tokenization``: labels in tokens, and the check that prompts fit.
    ``prompt_encoding``: the prompts of a task in tokens.
"""

"""Causal language models of Hugging Face, loaded and asked.

- ``loading``: from a folder to a loaded model, safely.
- ``causal_lm``: the loaded model that learners ask.
- ``library_forward``: its answers by the library's forward pass, for any architecture.
- ``hooks``: named points inside a model, where tensors are read or replaced.
- ``attention_hooks``: attention's inputs, scores and outputs.
- ``activation_patching``: hidden states at the last token, read or replaced.
- ``frozen_layers``: lower layers that run only once.
- ``implicit_weight_update``: the context as a rank-one change of the MLP's weights.
- ``parallel_context_windows``: demonstrations that do not see each other.
"""

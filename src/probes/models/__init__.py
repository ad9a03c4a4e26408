"""Models that answer prompts or regression tasks, from a file to a loaded module.

A card of the registry comes in and a loaded model goes out. Modules:

- ``loaders``: the function that loads a card's model; ``model_cache`` keeps models.
- ``architectures``: where the parts of each language model are, one description per
  architecture; ``undescribed_architecture`` guesses for all others.
- ``untrained``: cards of the same architecture with random weights.
- ``fetching``: download a model that packages carry, and convert it.
- ``quiet_transformers``: the library of language models without its advice.
- ``parameter_count``: the size of a model that is not loaded.
- ``attention_weights``: the attention matrices of a loaded model.

Packages:

- ``files``: check folders that nobody vouches for before a library reads them.
- ``causal_lm``: a loaded language model, and hooks into it.
- ``llama``: the Llama family written out, as a fast path.
- ``training``: trials of gradient descent on demonstrations.
- ``regression``: networks for regression tasks, constructed or learned.
- ``weights``: groups of parameters, gradients and stacks of weights.
- ``runtime``: memory and threads.
"""

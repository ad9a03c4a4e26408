"""Training a causal language model on demonstrations.

Start with ``trainer``: ``trainer_for`` builds a ``Trainer`` from ``settings``.

- ``settings``: optimizer, batch size, weights and loss.
- ``label_batches``: labelled examples as tensors.
- ``training_runs``: one run, its trained weights, and why it may have failed.
- ``run_groups``: which runs are trained at once, stacked or in threads.
- ``training_loop``: the steps of one stack, with the ``optimizers``.

What moves is a ``parametrization``: the weights themselves, or the factors of ``lora``.

Gradients come from a ``gradient_backend``:

- ``autograd_backend``: any architecture;
- ``llama_backend``: the Llama family, written out, and faster;
- ``layerwise_loss``: any architecture, with a loss for each layer (layer-causal GD).
"""

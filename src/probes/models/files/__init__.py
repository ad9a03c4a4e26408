"""A model's folder, checked and described before any library reads it.

- ``fingerprint``: find the folder, and hash its content for the key of an observation.
- ``safetensors_headers``: check and count the weights without reading them.
- ``gguf_header``: read where a GGUF file's tensors are, within bounds.
- ``gguf_conversion``: convert a GGUF file into a folder of safetensors; ``gguf_layout``
  says which architectures and how, ``gguf_tokenizer`` rebuilds the tokenizer, and
  ``safetensors_stream`` writes one tensor at a time.
- ``packaged_checkpoint``: a GGUF file that packages carry; ``converted_models``: where
  converted models are kept.
- ``untrusted_config``: refuse code, links out of the folder, and endless work.
"""

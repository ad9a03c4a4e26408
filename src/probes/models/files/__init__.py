"""A model's folder, checked and described before any library reads it.

- ``fingerprint``: find the folder, and hash its content for the key of an observation.
- ``safetensors_headers``: check and count the weights without reading them.
- ``untrusted_config``: refuse code, links out of the folder, and endless work.
"""

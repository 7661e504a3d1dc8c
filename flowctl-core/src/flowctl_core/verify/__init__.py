"""Whether bytes are what someone trusted has signed. Imports of cryptography and sigstore stay in functions."""

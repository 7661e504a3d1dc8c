"""A private Sigstore instance on one loopback port, for tests: OIDC issuer, CA, CT log, Rekor v1 and v2, TSA.

Every answer is real: tokens are signed and checked, certificates carry their log's SCT, entries are in Merkle trees with
signed checkpoints, time stamps are CMS. Clients need no change. Nothing of sigstore-python makes any of it.
"""

from .instance import SigstoreInstance, running

__all__ = ["SigstoreInstance", "running"]

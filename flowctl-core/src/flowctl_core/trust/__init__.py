"""Trust roots and the signed index, by The Update Framework (https://theupdateframework.github.io/specification/latest/).

`repository` and `publishing` make what operators serve, `client` and `pinning` verify it. The format is described in
docs/operators/trust.md. Only commands that need trust import these modules: they import python-tuf.
"""

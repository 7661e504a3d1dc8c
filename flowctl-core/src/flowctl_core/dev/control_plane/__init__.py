"""The control plane of a pipeline under `flowctl dev`: gRPC on loopback, `flowctl.v1`. Importing it loads no gRPC."""

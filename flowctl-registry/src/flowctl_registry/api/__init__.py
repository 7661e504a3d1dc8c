"""HTTP: one module a resource; `routing` says what an endpoint is."""

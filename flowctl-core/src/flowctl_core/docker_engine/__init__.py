"""The Docker engine, where it is the point: it takes images, builds them, and runs commands in containers."""

"""The ASGI handler of penstock. It has no public names yet: see docs/architecture.md."""

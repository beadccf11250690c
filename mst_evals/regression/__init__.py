"""Saved adapters under regression: `mst check`, its pytest plugin, and what they read and write."""

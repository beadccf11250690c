"""mst-evals: an evaluation harness for Monitor Sensitive Training (MST)."""

__version__ = "0.1.0"

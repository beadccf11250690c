"""Data sets: how they are made, split and checked. Everything here may be imported without torch or a model."""

"""Statistics: arrays in, frozen dataclasses out; and `mst compare`, which uses nothing else."""

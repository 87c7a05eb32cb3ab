"""What a run is made of: its parts, the loop, the optimizer, evaluation, checkpoints, its folder and log."""

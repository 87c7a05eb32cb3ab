"""What a training run is made of: its parts, their optimizer, evaluation, checkpoints and log."""

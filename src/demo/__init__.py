"""The page to draw on: what its server knows and does."""

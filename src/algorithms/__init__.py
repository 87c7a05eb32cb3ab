"""Algorithms beside MAML that share its inner loop."""

"""Pictures: the curves of trainings, and one task."""

"""Pictures: the curves of trainings, one test task, a prediction, and confusions."""

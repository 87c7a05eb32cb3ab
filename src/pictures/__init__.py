"""Pictures: the curves of trainings, one test task, and a prediction."""

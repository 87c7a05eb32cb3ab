"""MAML on Omniglot for MindSpore: data, episodes, the task-batched network and the meta-learner."""

"""MAML and its relatives for MindSpore: data, episodes, the task-batched network, the meta-learner and its training."""

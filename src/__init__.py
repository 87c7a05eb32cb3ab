"""MAML and its relatives for MindSpore: data, episodes, the task-batched network, the meta-learner and its training."""
import os

os.environ.setdefault("GLOG_v", "3")   # before anything here imports MindSpore: errors only, no warnings on the screen

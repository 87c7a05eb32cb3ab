"""The devices a run uses, and how a batch is shared among processes, on one machine or several."""

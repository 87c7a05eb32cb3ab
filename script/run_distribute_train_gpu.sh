#!/usr/bin/env bash
# Train on several GPUs: run_distribute_train_gpu.sh DEVICE_NUM EPOCH DATA_PATH [flags of omniglot_train.py]; log in train.log.
# DEVICE_NUM ranks run on each machine; several machines are told NODES, NODE_RANK and MASTER (docs/scaling.md).
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/cuda.sh"

use_cuda
train_on_ranks GPU "$@"

#!/usr/bin/env bash
# Train on a GPU: run_standalone_train_gpu.sh DEVICE_ID EPOCH DATA_PATH [flags of omniglot_train.py]; log in train.log.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/cuda.sh"

use_cuda
train GPU "$@"

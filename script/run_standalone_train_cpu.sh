#!/usr/bin/env bash
# Train on the CPU: run_standalone_train_cpu.sh DEVICE_ID EPOCH DATA_PATH [flags of omniglot_train.py]; log in train.log.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

train CPU "$@"

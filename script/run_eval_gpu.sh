#!/usr/bin/env bash
# Evaluate on a GPU: run_eval_gpu.sh DEVICE_ID DATA_PATH CKPT_PATH [flags of eval.py]; log in eval.log.
# CKPT_PATH is a checkpoint, or a folder of which the one of the highest epoch counts.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/cuda.sh"

use_cuda
evaluate GPU "$@"

#!/usr/bin/env bash
# Evaluate on several GPUs: run_distribute_eval_gpu.sh DEVICE_NUM DATA_PATH CKPT_PATH [flags of eval.py]; log in eval.log.
# DEVICE_NUM ranks run on each machine; several machines are told NODES, NODE_RANK and MASTER (docs/scaling.md).
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/cuda.sh"

use_cuda
evaluate_on_ranks GPU "$@"

#!/usr/bin/env bash
# Evaluate on the CPU: run_eval_cpu.sh DEVICE_ID DATA_PATH CKPT_PATH [flags of eval.py]; log in eval.log.
# CKPT_PATH is a checkpoint, or a folder of which the one of the highest epoch counts.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

evaluate CPU "$@"

# shellcheck shell=bash
# What the launchers share: check the arguments, choose the interpreter, run a program, keep its output in a log.
# Sourced, not run; `$0` is the launcher.

set -uo pipefail

project=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

# expect NAMES ARGUMENT... - one argument of the right kind for each name; flags may follow. Else usage, status 2.
expect() {
    local names name
    read -ra names <<<"$1"
    shift
    for name in "${names[@]}"; do
        case $name in
            *_PATH) [[ -n ${1:-} && $1 != -* ]] ;;
            *) [[ ${1:-} =~ ^[0-9]+$ ]] ;;
        esac || usage "${names[@]}"
        shift
    done
    [[ $# == 0 || $1 == -* ]] || usage "${names[@]}"
}

usage() {
    echo "usage: bash $0 $* [flags of the Python program]" >&2
    exit 2
}

# interpreter - $PYTHON, else the project's .venv, else python3
interpreter() {
    if [[ -n ${PYTHON:-} ]]; then
        echo "$PYTHON"
    elif [[ -x $project/.venv/bin/python ]]; then
        echo "$project/.venv/bin/python"
    else
        echo python3
    fi
}

# run_logged LOG PROGRAM FLAG... - a Python program in the foreground, on the screen and in LOG; ends with its status
run_logged() {
    local log=$1 program=$2
    shift 2
    # tee outlives an interrupt, so that the last lines still reach the screen and the log.
    "$(interpreter)" -u "$project/$program" "$@" 2>&1 | tee -i -- "$log"
    exit "${PIPESTATUS[0]}"
}

# train DEVICE_TARGET DEVICE_ID EPOCH DATA_PATH [FLAG...]
train() {
    expect "DEVICE_ID EPOCH DATA_PATH" "${@:2}"
    run_logged train.log omniglot_train.py --device_target "$1" --device_id "$2" --epoch "$3" --data_path "$4" "${@:5}"
}

# evaluate DEVICE_TARGET DEVICE_ID DATA_PATH CKPT_PATH [FLAG...]
evaluate() {
    expect "DEVICE_ID DATA_PATH CKPT_PATH" "${@:2}"
    run_logged eval.log eval.py --device_target "$1" --device_id "$2" --data_path "$3" --ckpt "$4" "${@:5}"
}

# on_ranks LOG DEVICE_NUM PROGRAM FLAG... - as run_logged, on several ranks
on_ranks() {
    export PYTHONPATH="$project${PYTHONPATH:+:$PYTHONPATH}"
    run_logged "$1" src/devices/launch.py "$2" "$project/$3" "${@:4}"
}

# train_on_ranks DEVICE_TARGET DEVICE_NUM EPOCH DATA_PATH [FLAG...]
train_on_ranks() {
    expect "DEVICE_NUM EPOCH DATA_PATH" "${@:2}"
    on_ranks train.log "$2" omniglot_train.py --device_target "$1" --epoch "$3" --data_path "$4" "${@:5}"
}

# evaluate_on_ranks DEVICE_TARGET DEVICE_NUM DATA_PATH CKPT_PATH [FLAG...]
evaluate_on_ranks() {
    expect "DEVICE_NUM DATA_PATH CKPT_PATH" "${@:2}"
    on_ranks eval.log "$2" eval.py --device_target "$1" --data_path "$3" --ckpt "$4" "${@:5}"
}

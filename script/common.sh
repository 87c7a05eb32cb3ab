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

# run_logged LOG PROGRAM FLAG... - a Python program in place of this script: signals, terminal and status are its own.
# It keeps LOG itself, so that no pipe is there to break, and its progress bar sees the terminal.
run_logged() {
    local log=$1 program=$2 python
    shift 2
    python=$(interpreter)
    expect_packages "$python"
    exec "$python" -u "$project/$program" --log_file "$log" "$@" 2>&1
}

# expect_packages PYTHON - refuse a Python that is none, or that lacks what the programs import
expect_packages() {
    local find='import importlib.util as util
names = "mindspore", "numpy", "PIL", "scipy", "yaml", "tqdm", "matplotlib"
lacking = [name for name in names if not util.find_spec(name)]
print("lacks", *lacking) if lacking else None' found
    command -v -- "$1" >/dev/null || {
        echo "error: $1: no such program; name a Python 3.10 to 3.12: PYTHON=/path/to/python bash $0" >&2
        exit 2
    }
    found=$("$1" -c "$find" 2>/dev/null) || return 0   # whatever is wrong with it, the program will say
    if [[ $found == lacks\ * ]]; then
        echo "error: $1 $found, which the programs import; get them by 'bash $project/script/quickstart.sh', which" \
            "makes $project/.venv, or by '$1 -m pip install -r $project/requirements.txt'" >&2
        exit 2
    fi
}

# pass_signals COMMAND... - run it; signals that this script gets reach it, and its own status comes back
pass_signals() {
    local child status=0
    "$@" &
    child=$!
    trap 'kill -INT "$child" 2>/dev/null' INT
    trap 'kill -TERM "$child" 2>/dev/null' TERM
    trap 'kill -HUP "$child" 2>/dev/null' HUP
    while
        wait "$child" && status=0 || status=$?
        kill -0 "$child" 2>/dev/null   # a signal ended the waiting, not the child
    do :; done
    trap - INT TERM HUP
    return "$status"
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
    local flags=(--device_target "$1" --epoch "$3" --data_path "$4" "${@:5}")
    if [[ " ${*:5}" == *" --seeds"* ]]; then   # one program, which starts ranks for each seed
        run_logged train.log omniglot_train.py --ranks "$2" "${flags[@]}"
    fi
    on_ranks train.log "$2" omniglot_train.py "${flags[@]}"
}

# evaluate_on_ranks DEVICE_TARGET DEVICE_NUM DATA_PATH CKPT_PATH [FLAG...]
evaluate_on_ranks() {
    expect "DEVICE_NUM DATA_PATH CKPT_PATH" "${@:2}"
    on_ranks eval.log "$2" eval.py --device_target "$1" --data_path "$3" --ckpt "$4" "${@:5}"
}

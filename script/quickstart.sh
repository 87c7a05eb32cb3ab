#!/usr/bin/env bash
# Everything from a fresh machine, on the CPU: environment, data, training, evaluation and two pictures.
#
#   bash script/quickstart.sh [DATA_PATH]
#
# DATA_PATH is a folder with Omniglot; without it the built-in glyph data is drawn. What it makes lies in
# quickstart_outputs/ in the caller's folder. Run again, it does only what is missing or is asked for differently.
#
# Environment variables: PYTHON, a Python 3.10 to 3.12; VENV, the folder of the environment (.venv in the project);
# QUICKSTART_EPOCHS, meta-steps to train; QUICKSTART_TASKS, tasks in a batch; QUICKSTART_TEST_BATCHES, batches to
# evaluate on.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
set -e

epochs=${QUICKSTART_EPOCHS:-200}
tasks=${QUICKSTART_TASKS:-32}
test_batches=${QUICKSTART_TEST_BATCHES:-30}
out=$PWD/quickstart_outputs

if (($# > 1)) || [[ ${1:-} == -* ]]; then
    echo "usage: bash $0 [DATA_PATH]" >&2
    exit 2
fi
data=$out/glyphs glyphs=--glyphs
if (($# == 1)); then
    [[ -d $1 ]] || fail "DATA_PATH $1: no such folder; expected one with Omniglot"
    data=$(CDPATH='' cd -- "$1" && pwd) glyphs=
fi

make_environment ''
mkdir -p "$out"
cd "$out"
SECONDS=0

if [[ ! -f $data/omniglot.npy && ! -f $data/omniglot/omniglot.npy ]]; then
    echo "== data: $data"
    pass_signals "$PYTHON" "$project/src/data_preprocess.py" --data_path "$data" ${glyphs:+"$glyphs"}
fi

shipped=$project/checkpoints/5way-1shot
if [[ -z $glyphs && -d $shipped && ! -f shipped.json ]]; then
    echo "== the trained network that comes with the project"
    "$PYTHON" "$project/eval.py" --device_target CPU --data_path "$data" --ckpt "$shipped" --protocol strict \
        --task_num "$tasks" --test_batches "$test_batches" --json "$out/shipped.json"
fi

settings="$epochs epochs of $tasks tasks, $test_batches test batches, data in $data"
if [[ ! -f settings || $(<settings) != "$settings" ]]; then
    rm -f accuracy.json learning_curve.png test_task.png
    if [[ -e ckpt ]]; then
        old=1
        while [[ -e ckpt-old-$old ]]; do ((old += 1)); done
        mv ckpt "ckpt-old-$old"
        echo "== the training with other settings is now in $out/ckpt-old-$old"
    fi
    echo "$settings" >settings
fi

checkpoint=$out/ckpt/maml-${epochs}_1.ckpt
if [[ -f $checkpoint ]]; then
    echo "== training: done before ($settings)"
else
    echo "== training: $settings"
    interrupted=$(compgen -G "ckpt/maml-[0-9]*_1.ckpt" || true)
    pass_signals bash "$project/script/run_standalone_train_cpu.sh" 0 "$epochs" "$data" --preset maml \
        --task_num "$tasks" --output_dir "$out/ckpt" --overwrite ${interrupted:+--ckpt "$out/ckpt"}
fi

if [[ -f accuracy.json ]]; then
    echo "== evaluation: done before"
    tail -n 1 eval.log
else
    echo "== evaluation"
    pass_signals bash "$project/script/run_eval_cpu.sh" 0 "$data" "$checkpoint" --task_num "$tasks" --test_batches "$test_batches" \
        --json "$out/accuracy.json"
fi

if [[ ! -f learning_curve.png || ! -f test_task.png ]]; then
    echo "== pictures"
    pass_signals "$PYTHON" -m mindspore_maml.pictures.task --device_target CPU --data_path "$data" --ckpt "$checkpoint" --pictures "$out"
fi
echo "== ready after $SECONDS s: accuracy.json, learning_curve.png and test_task.png are in $out"

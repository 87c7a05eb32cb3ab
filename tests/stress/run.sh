#!/usr/bin/env bash
# The long attacks: kills of trainings and inside saves, signals, lying checkpoints, 10,000 inputs, and memory over 2,000
# steps. What they found last is in docs/reliability.md.
#
#   bash tests/stress/run.sh DATA_PATH
#
# PYTHON names the interpreter (python3); KILLS, SAVES, SIGNALS, LIES, STEPS, BATCHES and INPUTS make the attacks shorter,
# and none may take longer than LONGEST seconds (3600). The memory is drawn in memory.png.
set -euo pipefail

if (($# != 1)) || [[ $1 == -* ]]; then
    echo "usage: bash $0 DATA_PATH" >&2
    exit 2
fi
data=$(CDPATH='' cd -- "$1" && pwd)
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}

# attack NAME FLAG... - one of tests/stress
attack() {
    echo "== $1"
    timeout --foreground "${LONGEST:-3600}" "$python" -m "tests.stress.$1" "${@:2}"
}

attack checkpoints --cases "${LIES:-2000}"
attack saves --kills "${SAVES:-100}"
attack signals --data_path "$data" --signals "${SIGNALS:-45}"
attack kills --data_path "$data" --kills "${KILLS:-100}"
attack memory --data_path "$data" --steps "${STEPS:-2000}" --batches "${BATCHES:-200}"
echo "== inputs"
INPUTS=${INPUTS:-10000} timeout --foreground "${LONGEST:-3600}" "$python" -m pytest -s tests/test_any_input.py \
    --hypothesis-profile=long

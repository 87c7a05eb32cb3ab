#!/usr/bin/env bash
# The long attacks: 100 kills, 10,000 inputs, and memory over 2,000 steps. What they found last is in docs/reliability.md.
#
#   bash tests/stress/run.sh DATA_PATH
#
# PYTHON names the interpreter (python3); KILLS, STEPS, BATCHES and INPUTS make the attacks shorter. The
# memory is drawn in memory.png.
set -euo pipefail

if (($# != 1)) || [[ $1 == -* ]]; then
    echo "usage: bash $0 DATA_PATH" >&2
    exit 2
fi
data=$(CDPATH='' cd -- "$1" && pwd)
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}

echo "== kills"
"$python" -m tests.stress.kills --data_path "$data" --kills "${KILLS:-100}"
echo "== memory"
"$python" -m tests.stress.memory --data_path "$data" --steps "${STEPS:-2000}" --batches "${BATCHES:-200}"
echo "== inputs"
INPUTS=${INPUTS:-10000} "$python" -m pytest -s tests/test_any_input.py --hypothesis-profile=long

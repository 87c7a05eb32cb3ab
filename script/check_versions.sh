#!/usr/bin/env bash
# Try the oldest and the newest MindSpore that the project names, on every Python of 3.10 to 3.12 that is here.
#
#   bash script/check_versions.sh [TEST_FILE...]
#
# Each pair gets a fresh environment, a small quick start, and the tests named (by default half an hour of them on two
# cores); the table is printed and written to docs/devices.md. Pythons that are not here are said in it.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

tests=("$@")
((${#tests[@]})) || tests=(tests/test_layers.py tests/test_gradients.py tests/test_algorithms.py tests/test_parts.py
    tests/test_classifier.py tests/test_library.py tests/test_checkpoint.py tests/test_export.py)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
rows=$work/rows
oldest=$(sed -n 's/^mindspore>=\([0-9.]*\).*/\1/p' "$project/requirements.txt")
status=0

# try_pair PYTHON MINDSPORE - install, run, and add a row; MINDSPORE empty: the newest
try_pair() {
    local environment=$work/environment python found quick=failed tested
    rm -rf -- "$environment" && "$1" -m venv "$environment" || return 1
    python=$environment/bin/python
    "$python" -m pip install --disable-pip-version-check --no-input --quiet "$project"'[dev]' "mindspore${2:+==$2}" \
        || return 1
    found=$("$python" -c 'import importlib.metadata as m, platform
print(platform.python_version(), m.version("mindspore"), m.version("numpy"), sep=" | ")')
    echo "== Python | MindSpore | NumPy: $found"
    (cd -- "$work" && rm -rf quickstart_outputs && cp "$project/requirements.txt" . \
        && cat "$project/requirements.txt" "$project/pyproject.toml" >"$environment/installed" \
        && VENV=$environment QUICKSTART_EPOCHS=3 QUICKSTART_TASKS=4 QUICKSTART_TEST_BATCHES=1 PYTHON='' \
            bash "$project/script/quickstart.sh" >quickstart.log 2>&1) && quick=runs
    [[ $quick == runs ]] || { tail -n 5 "$work/quickstart.log"; status=1; }
    tested=$(cd -- "$project" && "$python" -m pytest -n 2 --dist loadfile "${tests[@]}" 2>&1 | tee "$work/tests.log" | tail -n 1)
    [[ $tested == *failed* || $tested == *error* || $tested != *passed* ]] && { grep -E '^(FAILED|ERROR)' "$work/tests.log"; status=1; }
    echo "| $found | $quick | $(grep -oE '[0-9]+ (passed|failed|skipped|errors?)' <<<"$tested" | paste -sd, | sed 's/,/, /g') |" >>"$rows"
}

for python in python3.10 python3.11 python3.12; do
    if ! suits "$python"; then
        echo "| ${python#python} | not tried: not on this machine | | | |" >>"$rows"
        continue
    fi
    for version in "$oldest" ""; do
        try_pair "$python" "$version" || { echo "| ${python#python} | ${version:-newest}: did not install | | | |" >>"$rows"; status=1; }
    done
done
python3 - "$project/docs/devices.md" "$rows" <<'PYTHON'
import pathlib
import re
import sys

page, rows = map(pathlib.Path, sys.argv[1:])
table = "| Python | MindSpore | NumPy | quick start | tests |\n| --- | --- | --- | --- | --- |\n" + rows.read_text()
mark = r"(<!-- versions -->\n).*?(<!-- end of versions -->)"
page.write_text(re.sub(mark, lambda found: f"{found[1]}\n{table}\n{found[2]}", page.read_text(), flags=re.DOTALL))
print(table, end="")
PYTHON
exit "$status"

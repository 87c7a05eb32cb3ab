#!/usr/bin/env bash
# All checks on a fresh machine: environment, ruff, shellcheck, mypy, pytest. Arguments go to pytest.
# OMNIGLOT_PATH names a folder with the real Omniglot for the tests that want it.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

make_environment dev
cd "$project" || exit
tools=$(dirname -- "$PYTHON")
status=0
echo "== ruff"
"$tools/ruff" check . || status=1
echo "== shellcheck"
"$tools/shellcheck" script/*.sh .ci/run || status=1
echo "== mypy"
"$tools/mypy" || status=1
echo "== pytest"
if ! { command -v chromium && command -v chromedriver; } >/dev/null; then
    echo "without the page of demo.py in a browser: no chromium and chromedriver (on Debian: apt-get install chromium" \
        "chromium-driver)"
fi
cores=$(nproc)   # one process more: some wait for others to end
"$PYTHON" -m pytest -n "$((cores < 4 ? cores + 1 : 4))" --dist loadfile --no-loadscope-reorder --timeout 900 \
    "$@" || status=1
exit "$status"

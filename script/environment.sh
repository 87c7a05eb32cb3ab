# shellcheck shell=bash
# What quickstart.sh and run_tests.sh share: a virtual environment with the project in it, and the packages it needs.
# Sourced after common.sh. PYTHON names the Python to make it with, VENV its folder (default: the project's .venv).

# make_environment [EXTRA] - make or complete the environment, with an extra of pyproject.toml or without; then PYTHON
# is its interpreter
make_environment() {
    local folder=${VENV:-$project/.venv} base stamp
    [[ -z ${PYTHON:-} ]] || suits "$PYTHON" || wrong_python "$PYTHON"
    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        base=$(find_python) || wrong_python python3
        echo "== environment: making $folder with $base"
        "$base" -m venv "$folder" || fail "$base -m venv failed (on Debian and Ubuntu: apt-get install python3-venv)"
    fi
    suits "$folder/bin/python" || fail "$folder holds $(version "$folder/bin/python"); expected Python 3.10 to 3.12;" \
        "remove that folder and run this again"
    PYTHON=$(CDPATH='' cd -- "$folder" && pwd)/bin/python
    export PYTHON

    stamp=$folder/installed${1:+-$1}
    if ! cat "$project/requirements.txt" "$project/pyproject.toml" | cmp -s - "$stamp"; then
        echo "== environment: installing the project${1:+ with [$1]} (the first time about a gigabyte)"
        "$PYTHON" -m pip install --disable-pip-version-check --no-input -e "$project${1:+[$1]}" \
            || fail "installing $project${1:+[$1]} failed; pip says why above"
        cat "$project/requirements.txt" "$project/pyproject.toml" >"$stamp"
    fi
}

# find_python - the first Python that MindSpore runs on: $PYTHON, or one on the PATH
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.12 python3.11 python3.10; do
        if suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

suits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

version() {
    "$1" --version 2>/dev/null || echo "no Python that runs"
}

wrong_python() {
    fail "$1 is $(version "$1"); expected Python 3.10 to 3.12, which MindSpore needs;" \
        "name one: PYTHON=/path/to/python3.11 bash $0"
}

fail() {
    echo "error: $*" >&2
    exit 2
}

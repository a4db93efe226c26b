#!/bin/sh
# Runs every check and every test that CI runs. Further arguments go to nox: -l lists its sessions, -s lint runs one.
. "$(dirname -- "$0")/setup.sh"

set_up_with_plugins() {
    # In one go, so that pip finds that the plugins need the taskproc beside them and not one from an index.
    for project in contrib/*/pyproject.toml; do
        [ ! -f "$project" ] || set -- "$@" -e "./${project%/*}"
    done
    setup test "$@"
}

# The suite waits much for its clusters. All else runs meanwhile; what the suite says is shown after it, in one piece.
run_side_by_side() {
    said=$(mktemp)
    failed=0
    run_nox -s tests >"$said" 2>&1 </dev/null &
    suite=$!
    run_nox -t beside </dev/null &
    beside=$!
    trap 'kill -INT "$beside" "$suite"' INT HUP TERM
    wait "$beside" || failed=1
    wait "$suite" || failed=1
    cat "$said"
    rm "$said"
    exit "$failed"
}

run_nox() {
    exec "$venv/bin/python" -m nox --non-interactive "$@"
}

set_up_with_plugins --group dev -e '.[examples]'
# Of pyright's two nodes the one that was installed with it: another may be here, old or not, or none.
PATH=$venv/bin:$PATH PYRIGHT_PYTHON_GLOBAL_NODE=0
export PATH PYRIGHT_PYTHON_GLOBAL_NODE
[ $# -gt 0 ] || run_side_by_side
run_nox "$@"

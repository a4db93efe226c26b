#!/bin/sh
# Runs every check and every test. Further arguments go to nox: -l lists its sessions, -s lint runs one.
. "$(dirname -- "$0")/setup.sh"

set_up_with_plugins() {
    # In one go, so that pip finds that the plugins need the taskproc beside them and not one from an index.
    for project in contrib/*/pyproject.toml; do
        [ ! -f "$project" ] || set -- "$@" -e "./${project%/*}"
    done
    setup test "$@"
}

set_up_with_plugins --group dev -e '.[examples]'
PATH=$venv/bin:$PATH
export PATH
exec "$venv/bin/python" -m nox --non-interactive "$@"

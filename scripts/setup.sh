# Sourced by example.sh and test.sh: makes .venv in the checkout and installs into it what is named.
#
#   setup NAME ARGUMENT...    the arguments are those of pip install
#
# A second call with the same NAME does nothing, unless a file that says what to install has changed.
set -eu
# Where Python is told to keep no bytecode, each of the many processes below would compile taskproc anew.
unset PYTHONDONTWRITEBYTECODE
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd -- "$root"
venv=$root/.venv
owner=$venv/made-for-checkout

setup() {
    name=$1
    shift
    check_owner
    state=$(printf '%s\n' "$@" | cat - pyproject.toml constraints.txt contrib/*/pyproject.toml | cksum)
    stamp=$venv/ready-$name
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
        return
    fi
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
    echo "Installing into .venv (once)"
    # The build tools come first, pinned like everything else: pip would fetch some of its own choice.
    "$venv/bin/python" -m pip install -q -c constraints.txt pip hatchling editables
    "$venv/bin/python" -m pip install -q -c constraints.txt --no-build-isolation "$@"
    printf '%s\n' "$state" >"$stamp"
}

# A checkout that was moved needs a new environment, since scripts in the old one point to where it was.
# An environment that somebody else made is not ours to change.
check_owner() {
    if [ ! -e "$venv" ] || [ "$(cat "$owner" 2>/dev/null)" = "$root" ]; then
        return
    fi
    if [ ! -e "$owner" ]; then
        echo "$venv was not made by this script; move it away and run this again." >&2
        exit 1
    fi
    rm -rf "$venv"
}

make_venv() {
    python=$(find_python)
    echo "Making .venv with $("$python" --version)"
    rm -rf "$venv"
    mkdir "$venv"
    printf '%s\n' "$root" >"$owner"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        # Debian's python3 may lack ensurepip; then the system's pip fills the new environment.
        "$python" -m venv --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install -q -c constraints.txt pip
    fi
}

find_python() {
    for candidate in python3 python python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "taskproc needs Python 3.10 or newer, and none is on PATH." >&2
    return 1
}

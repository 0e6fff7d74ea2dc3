# Sourced by scripts/setup.sh: what can be known in the first second, and what a failed command's output says.

say() { printf '%s\n' "$*" >&2; }
fail() { say "ERROR $1"; [ $# -lt 2 ] || say "TIP $2"; exit 1; }

# writable FOLDER: a file can be made in the folder, or in the nearest parent that is there. Permission bits do not tell:
# root ignores them, and a file system may be read-only.
writable() {
    local folder=$1 probe
    while [ ! -e "$folder" ] && [ "$folder" != "$(dirname "$folder")" ]; do folder=$(dirname "$folder"); done
    probe=$(mktemp "$folder/.rerank-probe.XXXXXX" 2>/dev/null) || return 1
    rm -f "$probe"
}

free_mb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }'; }

check_places() {
    local folder
    for folder in . .venv .tools; do
        [ ! -d "$folder" ] || writable "$folder" ||
            fail "No file can be written in $(cd "$folder" && pwd)." "Give this user the folder, or copy the project to one of your own."
    done
    folder=${TMPDIR:-/tmp}
    writable "$folder" && [ -d "$folder" ] ||
        fail "No file can be written in $folder, the folder for temporary files." "Set TMPDIR to a folder that you can write to."
}

# check_space MEGABYTES: there is room for what will be installed.
check_space() {
    local free
    free=$(free_mb .)
    [ -z "$free" ] || [ "$free" -ge "$1" ] ||
        fail "$free MB are free in $PWD; what has to be installed needs about $1 MB." "Make room, or copy the project to a larger disk."
    free=$(free_mb "${TMPDIR:-/tmp}")
    [ -z "$free" ] || [ "$free" -ge 500 ] || [ "$1" -lt 500 ] ||
        fail "$free MB are free in ${TMPDIR:-/tmp}, where packages are unpacked; about 500 MB are needed." "Make room there, or set TMPDIR to another folder."
}

# own_cache VARIABLE USUAL OWN: sets VARIABLE to OWN when it is not set and USUAL cannot be written.
own_cache() {
    if [ -z "${!1:-}" ] && { [ -z "${HOME:-}" ] || ! writable "$2"; }; then
        export "$1=$3"
        own_caches="${own_caches:+$own_caches, }$1"
    fi
}

# Programs keep caches in HOME. Where HOME cannot be written, the project's own folders take them.
place_caches() {
    local own_caches="" cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
    own_cache PIP_CACHE_DIR "$cache/pip" "$PWD/.tools/cache/pip"
    own_cache UV_CACHE_DIR "$cache/uv" "$PWD/.tools/cache/uv"
    own_cache npm_config_cache "${HOME:-}/.npm" "$PWD/.tools/cache/npm"
    own_cache CDK_HOME "${HOME:-}/.cdk" "$PWD/.tools/cache/cdk"
    own_cache JSII_RUNTIME_PACKAGE_CACHE_ROOT "$cache/aws/jsii/package-cache" "$PWD/.tools/cache/jsii"
    [ -z "$own_caches" ] || say "HOME (${HOME:-not set}) cannot be written, so caches go to .tools/cache: $own_caches."
}

is_suitable_python() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate bare=""
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3 python; do
        if is_suitable_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then bare=${bare:-$candidate}; fi
    done
    [ -z "$bare" ] || fail "$bare ($("$bare" --version)) has no venv module: ensurepip is missing." \
        "On Debian and Ubuntu: apt-get install python3-venv. Or name another Python: PYTHON=/path/to/python $0"
    fail "No Python 3.11 or newer was found (tried ${PYTHON:+$PYTHON, }python3.11 … python3.14, python3, python)." \
        "Install one (on Debian and Ubuntu also its python3-venv package), or name it: PYTHON=/path/to/python $0"
}

# cause_of LOG STATUS: what a failed command's output says to do. "Is the network up?" only where it names a connection.
cause_of() {
    local log=$1 line
    names() { line=$(grep -m 1 -iE "$1" "$log"); }
    if names 'ENOSPC|No space left on device|Disk quota exceeded'; then
        say "TIP The disk is full: $(free_mb .) MB are free in $PWD, $(free_mb "${TMPDIR:-/tmp}") MB in ${TMPDIR:-/tmp}."
    elif names 'CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate|SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|self.signed certificate'; then
        say "TIP The server's certificate is not trusted here. Behind a proxy with its own certificate: set PIP_CERT and NODE_EXTRA_CA_CERTS to its file."
    elif names 'NewConnectionError|ConnectTimeout|ReadTimeout|Read timed out|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|Name or service not known|name resolution|getaddrinfo|Connection (refused|reset|aborted|timed out)|Network is unreachable|dns error|tcp connect error|Cannot connect to proxy|operation timed out|Could not connect|error sending request'; then
        say "TIP A connection failed. Is the network up, and the package index reachable (pip config list, npm config get registry)?"
    elif names 'DO NOT MATCH THE HASHES|Hash mismatch|EINTEGRITY'; then
        say "TIP A downloaded file is not the one that the lock file names: the index or a cache holds another one."
    elif names 'EACCES|EPERM|EROFS|Permission denied|Operation not permitted|Read-only file system|os error 13\b'; then
        say "TIP A file or folder cannot be written: $line"
    elif names 'No matching distribution|Could not find a version|No solution found|has no wheels|no wheels with a matching|ETARGET|E404|No matching version'; then
        say "TIP The package index has no file of it for this machine ($(uname -sm), $(.venv/bin/python --version 2>&1)). Another Python: PYTHON=/path/to/python $0"
    elif [ "$2" -eq 137 ] || names 'ENOMEM|MemoryError|Cannot allocate memory|heap out of memory'; then
        say "TIP The memory did not suffice."
    else
        say "TIP The lines above are the end of its output."
    fi
}

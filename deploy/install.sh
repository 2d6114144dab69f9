# deploy/install.sh
#
# Sourced by deploy/quickstart and tests/run: says what it does, installs what is missing from
# Debian, builds a preset. Needs bash, run from the top of the tree. Logs go to build/log/.
#
# SPDX-License-Identifier: Apache-2.0

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libssl-dev libevent-dev
    libyaml-dev libnghttp2-dev libjansson-dev libcurl4-openssl-dev libseccomp-dev libwebsockets-dev)
# What the build uses where the system has it: for handshakes in batches, from Debian 13 on.
OPTIONAL_PACKAGES=(libcrypto-mb-dev)

if [ -t 1 ]; then
    step() { printf '\033[1m==> %s\033[0m\n' "$*"; }
else
    step() { printf '==> %s\n' "$*"; }
fi

note() { printf '    %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 3
}

# quietly LOG COMMAND...: runs it with its output in build/log/LOG; on a terminal counts the
# seconds; shows the end of the log if it fails.
quietly() {
    local log=build/log/$1 status=0 begin=$SECONDS
    shift
    mkdir -p build/log
    "$@" >"$log" 2>&1 </dev/null &
    local job=$!
    while [ -t 1 ] && kill -0 "$job" 2>/dev/null; do
        printf '\r    %d s  %.60s\033[K' $((SECONDS - begin)) "$(tail -n 1 "$log" | tr -d '\r')"
        sleep 0.2
    done
    [ -t 1 ] && printf '\r\033[K'
    wait "$job" || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$log" >&2
        printf 'error: %s failed (%d); all of its output is in %s\n' "$1" "$status" "$log" >&2
    fi
    return "$status"
}

package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

packages_missing() {
    local package
    for package in "$@"; do
        package_installed "$package" || printf '%s\n' "$package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        fail "this needs root or sudo: $*"
    fi
}

# packages_install PACKAGE...: those that are missing, and nothing (not even apt) when none is.
packages_install() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    if [ ${#missing[@]} -eq 0 ]; then
        step "Packages: all ${#} are here"
        return 0
    fi
    step "Packages: installing ${#missing[@]} with apt"
    note "${missing[*]}"
    if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
        sudo -v || fail "installing needs sudo"
    fi
    quietly apt-update.log as_root apt-get -q -o DPkg::Lock::Timeout=300 update || return
    quietly apt-install.log as_root apt-get -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "${missing[@]}"
}

# packages_install_optional PACKAGE...: those that apt knows of. Without them all works, too.
packages_install_optional() {
    local package known=()
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            known+=("$package")
        fi
    done
    [ ${#known[@]} -eq 0 ] || packages_install "${known[@]}"
}

# preset_build PRESET [CMAKE OPTION...]: configures once, then builds what changed.
preset_build() {
    local preset=$1
    shift
    step "Build: $preset"
    quietly "configure-$preset.log" cmake --preset "$preset" "$@" || return
    quietly "build-$preset.log" cmake --build --preset "$preset" || return
    note "$(tail -n 1 "build/log/build-$preset.log")"
}

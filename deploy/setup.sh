# Shell functions of ./run and ./test: a virtual environment with everything installed, web assets, agent bundle.
# Sourced from the root of the repository. Sets STEAD_PYTHON.

stead_say() { echo "stead: $*" >&2; }

stead_is_debian_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

stead_apt() {
    # Debian packages that are not installed yet; one apt-get call, only where something is missing.
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    stead_say "installing$missing"
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086 # one word for each package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
}

stead_apt_unstarted() {
    # Packages whose programs the suite starts for itself, on its own ports: their services stay off.
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then stead_apt "$@"; return; fi
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    stead_apt "$@"
    rm -f "$policy"
    trap - EXIT
}

stead_ssh_client() {
    # The shell that ./run opens, and stead ssh, are OpenSSH's own client.
    command -v ssh >/dev/null 2>&1 && return 0
    if stead_is_debian_root; then
        stead_apt openssh-client
    else
        stead_say "OpenSSH's ssh is needed and was not found. Install it (Debian: apt-get install openssh-client)."
        return 1
    fi
}

stead_find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] || continue
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    stead_say "Python 3.11, 3.12 or 3.13 is needed and none was found. Install python3, or set PYTHON."
    return 1
}

stead_venv() {
    [ -x .venv/bin/python ] && [ -x .venv/bin/pip ] && return 0
    python=$(stead_find_python)
    rm -rf .venv
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if stead_is_debian_root; then
            stead_apt python3-venv
        else
            stead_say "This Python cannot make virtual environments. Run: apt-get install python3-venv"
            return 1
        fi
    fi
    "$python" -m venv .venv
}

stead_digest() { cat "$@" 2>/dev/null | cksum | tr ' ' -; }

stead_setup() {
    # $1: "run" (what it takes to serve) or "test" (every plugin, and the tools and peers of the suite)
    mode=$1
    STEAD_PYTHON=$PWD/.venv/bin/python
    export STEAD_PYTHON
    stead_ssh_client
    stead_venv
    mkdir -p .cache
    stead_install "$mode"
    "$STEAD_PYTHON" -m stead.web.build_assets >&2
    stead_bundle
    if [ "$mode" = test ]; then
        STEAD_TEST_AGENT_BUNDLE=$PWD/.cache/agent-bundle
        export STEAD_TEST_AGENT_BUNDLE
    else
        STEAD_AGENT_BUNDLE_DIR=${STEAD_AGENT_BUNDLE_DIR:-$PWD/.cache/agent-bundle}
        export STEAD_AGENT_BUNDLE_DIR
    fi
}

stead_install() {
    # Everything in one pip call, and only when what is wanted has changed.
    plugins=plugins/docker
    extras=build
    peers=""
    if [ "$1" = test ]; then
        plugins=$(dirname plugins/*/setup.cfg)
        extras=dev,build
        peers="[test]"
    fi
    digest=$(stead_digest constraints.txt setup.cfg agent/setup.cfg plugins/*/setup.cfg)
    installed=$(cat .cache/installed 2>/dev/null || true)
    # What the suite needs is enough to serve, too.
    [ "$installed" = "$1 $digest" ] || [ "$installed" = "test $digest" ] && return 0
    stead_say "installing Stead into .venv"
    set -- "$1" -c constraints.txt -e ".[$extras]" -e "agent[bundle]"
    for plugin in $plugins; do set -- "$@" -e "$plugin$peers"; done
    mode=$1
    shift
    "$STEAD_PYTHON" -m pip install --quiet --disable-pip-version-check "$@"
    echo "$mode $digest" > .cache/installed
}

stead_bundle() {
    digest=$(stead_digest .cache/installed $(find agent/src -name '*.py' | sort))
    [ "$(cat .cache/agent-bundle/built 2>/dev/null || true)" = "$digest" ] && return 0
    stead_say "building the agent bundle"
    "$STEAD_PYTHON" -m stead_agent_bundle .cache/agent-bundle >&2
    echo "$digest" > .cache/agent-bundle/built
}

stead_test_servers() {
    # The servers that the suite starts for itself. Without root on Debian it says what it leaves out.
    if stead_is_debian_root; then
        stead_apt docker.io iptables iproute2 busybox-static debootstrap postgresql openssh-client openssh-server \
            rsync git curl ipmitool chromium fonts-dejavu-core putty-tools dropbear-bin procps ca-certificates
        stead_apt_unstarted slapd ldap-utils samba samba-ad-provision samba-dsdb-modules
    else
        stead_say "not root on Debian: tests that need servers which are not installed are left out, by name, below"
    fi
}

stead_test_peers() {
    # What takes long to build, once: it stays in ~/.cache/stead-tests, or in STEAD_TEST_CACHE.
    stead_is_debian_root || return 0
    for build in tests/plugins/*/peer/build; do
        "$build" || stead_say "$build failed: what needs it is left out, by name, below"
    done
}

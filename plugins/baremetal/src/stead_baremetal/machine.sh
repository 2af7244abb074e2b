#!/bin/sh
# What Stead runs on a machine, as root: it alone decides whose the machine is.
#
# It takes one word, and reads NAME=VALUE lines from standard input; long values are in base64. It answers with
# NAME=VALUE lines. Needs what every Linux distribution for servers has: coreutils, util-linux, awk, find, useradd.
set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
LC_ALL=C
export LC_ALL

PROTOCOL=1
DIGEST=@DIGEST@
SELF=@PROGRAM@
STATE=@STATE@
CONF=@CONF@
UNIT=@UNIT@
CRON=@CRON@
CLAIM=$STATE/claim
WORK=$STATE/workspace

# Exit codes, as stead_baremetal.answers knows them.
BUSY=10 DRAINED=11 DIRTY=12 FOREIGN=13 UNHEALTHY=14 WORKING=15 REFUSED=16 BROKEN=17

have() { command -v "$1" >/dev/null 2>&1; }
encoded() { printf %s "$1" | base64 | tr -d '\n'; }
say() { printf '%s=%s\n' "$1" "$2"; }
stop_with() { say reason "$(encoded "$2")"; exit "$1"; }
contents() { if [ -f "$1" ]; then cat "$1"; fi; }

# --- input -----------------------------------------------------------------------------------------------------

in_key='' in_deployment='' in_workspace='' in_name='' in_owner='' in_build='' in_user=''
in_environment='' in_script='' in_reason='' in_grace=''
read_input() {
    while IFS= read -r line; do
        name=${line%%=*} value=${line#*=}
        case $name in
        key | deployment | workspace | name | owner | build | user | environment | script | reason | grace)
            case $value in *[!A-Za-z0-9._:@/+=-]*) stop_with $REFUSED "$name has a character that is not allowed" ;; esac
            eval "in_$name=\$value"
            ;;
        *) stop_with $REFUSED "there is no input called that" ;;
        esac
    done
}
need_key() {
    case $in_key in '' | *[!A-Za-z0-9._:-]*) stop_with $REFUSED "a claim needs a key" ;; esac
}

# --- files that must outlive a power cut -----------------------------------------------------------------------

flushed() { sync "$@" 2>/dev/null || sync; }
keep() {
    # $1: file, its content from standard input; whole or not at all
    cat >"$1.new.$$" && flushed "$1.new.$$" && mv -f "$1.new.$$" "$1" && flushed "${1%/*}"
}
forget() { rm -f "$@" && flushed "$STATE"; }
field() { sed -n "s/^$1=//p" "$CLAIM" 2>/dev/null | head -n 1; }
phase() { contents "$STATE/phase"; }
set_phase() { printf '%s\n' "$1" | keep "$STATE/phase"; }

locked() {
    # One change at a time; the kernel frees the lock of whoever dies.
    mkdir -p "$STATE" && chmod 711 "$STATE" || stop_with $BROKEN "$STATE cannot be made"
    exec 9>"$STATE/lock"
    tries=0
    until flock -n 9; do
        tries=$((tries + 1))
        [ $tries -lt 50 ] || stop_with $WORKING "something else is changing this machine"
        sleep 0.1 2>/dev/null || sleep 1
    done
}
ours() {
    need_key
    [ -f "$CLAIM" ] || stop_with $FOREIGN "nobody has claimed this machine"
    [ "$(field key)" = "$in_key" ] || stop_with $FOREIGN "the machine is claimed under another key"
}

# --- health ----------------------------------------------------------------------------------------------------

conf() { sed -n "s/^$1=//p" "$CONF" 2>/dev/null | head -n 1; }
free_mib() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }'; }
ailment() {
    # One line on what is wrong with this machine; nothing where it is well.
    for tool in flock setpriv setsid base64 awk sed find useradd userdel; do have $tool || { echo "$tool is missing"; return; }; done
    mkdir -p "$STATE" 2>/dev/null && : 2>/dev/null >"$STATE/.probe.$$" || { echo "$STATE cannot be written"; return; }
    rm -f "$STATE/.probe.$$"
    least=$(conf min_free_mib)
    for place in "$STATE" /home /tmp; do
        free=$(free_mib $place)
        [ "${free:-0}" -ge "${least:-512}" ] || { echo "$place has only ${free:-0} MiB free"; return; }
    done
    check=$(conf health_command)
    if [ -n "$check" ]; then
        said=$(timeout 30 $check 2>&1 </dev/null 9>&-) || { echo "$check says: $(printf %s "$said" | tail -n 1)"; return; }
    fi
}

# --- processes and the account ---------------------------------------------------------------------------------

account() { contents "$STATE/account"; }
uid_of() { id -u "$1" 2>/dev/null; }
processes_of() {
    # Numbers of the processes that run as uid $1, zombies aside.
    for entry in /proc/[0-9]*; do
        awk -v uid="$1" '/^State:/ { z = $2 == "Z" } /^Uid:/ { if (!z && ($2 == uid || $3 == uid)) print FILENAME; exit }' \
            "$entry/status" 2>/dev/null
    done | sed 's|/proc/||; s|/status||'
}
in_session() {
    # Numbers of the processes in session $1.
    for entry in /proc/[0-9]*; do
        sed -n "s|.*) . [0-9]* [0-9]* $1 .*|${entry#/proc/}|p" "$entry/stat" 2>/dev/null
    done
}
start_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{ print $20 }'; }
supervisor() {
    # Number of the process that supervises the agent where there is no systemd; a number can be reused.
    read -r pid begun 2>/dev/null <"$STATE/supervisor" || return 1
    [ "$(start_of "$pid")" = "$begun" ] && echo "$pid"
}
gone_within() {
    # $1: seconds, then a command that prints the numbers of what must go
    left=$(($1 * 5))
    shift
    while [ -n "$("$@")" ]; do
        [ $left -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.2 2>/dev/null || sleep 1
    done
}
kill_all() {
    # Every process of uid $1; new ones may appear while the old ones die.
    rounds=0
    while found=$(processes_of "$1") && [ -n "$found" ]; do
        [ $rounds -lt 50 ] || return 1
        rounds=$((rounds + 1))
        kill -KILL $found 2>/dev/null
        sleep 0.1 2>/dev/null || sleep 1
    done
}
shell_of() { if [ -x /bin/bash ]; then echo /bin/bash; else echo /bin/sh; fi; }
make_account() {
    known=$(account)
    if [ -n "$known" ] && [ "$known" != "$in_user" ]; then stop_with $REFUSED "the machine has the account $known already"; fi
    if [ -z "$known" ]; then
        [ -z "$(uid_of "$in_user")" ] || stop_with $REFUSED "the account $in_user is there already, and Stead did not make it"
        [ ! -e "/home/$in_user" ] || stop_with $REFUSED "/home/$in_user is there already, and Stead did not make it"
        # On record before it exists, so that whatever happens now is cleared away.
        printf '%s\n' "$in_user" | keep "$STATE/account"
    fi
    [ -n "$(uid_of "$in_user")" ] ||
        useradd --create-home --home-dir "/home/$in_user" --user-group --shell "$(shell_of)" "$in_user" 9>&- >&2 ||
        stop_with $BROKEN "the account $in_user cannot be made"
    uid_of "$in_user" >"$STATE/uid"
    chmod 700 "/home/$in_user"
}

# --- the agent -------------------------------------------------------------------------------------------------

with_systemd() { [ -d /run/systemd/system ] && have systemctl; }
unit() {
    cat <<UNIT
[Unit]
Description=Stead workspace
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=$SELF run
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=60
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
UNIT
}
run() {
    # Becomes the agent, as the workspace's account. What the template gave is read only after that.
    user=$(account)
    home=/home/$user
    cd "$home" || exit 1
    set -- sh -c '. "$0/environment" && exec sh "$0/script"' "$WORK"
    set -- env -i HOME="$home" USER="$user" LOGNAME="$user" SHELL="$(shell_of)" PATH="$PATH" LANG=C.UTF-8 "$@"
    umask 022
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$@"
}
supervise() {
    printf '%s %s\n' $$ "$(start_of $$)" >"$STATE/supervisor"
    pause=1
    while [ "$(contents "$STATE/wanted")" = running ]; do
        begun=$(date +%s)
        "$SELF" run
        [ $(($(date +%s) - begun)) -lt 60 ] && pause=$((pause * 2)) || pause=1
        [ $pause -le 30 ] || pause=30
        sleep $pause
    done
}
start_agent() {
    if with_systemd; then
        unit >"$UNIT" && chmod 644 "$UNIT" && systemctl daemon-reload && systemctl enable --quiet "${UNIT##*/}" >&2 &&
            systemctl restart "${UNIT##*/}" >&2
        return
    fi
    if [ -d "${CRON%/*}" ]; then printf '@reboot root %s boot\n' "$SELF" >"$CRON" && chmod 644 "$CRON"; fi
    [ "$(wc -c 2>/dev/null <"$STATE/agent.log" || echo 0)" -lt 4194304 ] || : >"$STATE/agent.log"
    setsid "$SELF" supervise </dev/null >>"$STATE/agent.log" 2>&1 9>&- &
    gone_within 10 missing_supervisor
}
missing_supervisor() { supervisor >/dev/null || echo none; }
stop_agent() {
    # $1: seconds for the agent to end by itself
    if with_systemd; then
        systemctl disable --quiet --now "${UNIT##*/}" >/dev/null 2>&1
        rm -f "$UNIT"
        systemctl daemon-reload
    else
        rm -f "$CRON"
        leader=$(supervisor) && {
            kill -KILL "$leader" 2>/dev/null
            for member in $(in_session "$leader"); do kill -TERM "$member" 2>/dev/null; done
            gone_within "$1" in_session "$leader"
            for member in $(in_session "$leader"); do kill -KILL "$member" 2>/dev/null; done
        }
        rm -f "$STATE/supervisor"
    fi
    uid=$(contents "$STATE/uid")
    [ -z "$uid" ] || kill_all "$uid"
}
agent_state() {
    if [ ! -f "$WORK/script" ]; then echo absent
    elif with_systemd; then
        # activating: between two tries to start it
        case $(systemctl is-active "${UNIT##*/}" 2>/dev/null) in active | activating | reloading) echo running ;; *) echo stopped ;; esac
    else supervisor >/dev/null && echo running || echo stopped; fi
}

# --- wiping ----------------------------------------------------------------------------------------------------

PLACES="/home /tmp /var/tmp /dev/shm /run/user /var/spool/cron /var/spool/at /var/mail /run/lock"
first_of() {
    # The first that find tells of, in words where it was killed and so tells nothing.
    { find "$@" 2>/dev/null; [ $? -lt 128 ] || echo "$1 could not be looked through: it"; } | head -n 1
}
remains() {
    # What is still there of the account $1 with uid $2, in words; nothing where all is gone.
    [ -z "$2" ] || [ -z "$(processes_of "$2")" ] || { echo "processes of $1 do not end"; return; }
    [ -z "$1" ] || [ ! -e "/home/$1" ] || { echo "/home/$1 cannot be removed"; return; }
    [ -z "$1" ] || [ -z "$(uid_of "$1")" ] || { echo "the account $1 cannot be removed"; return; }
    for place in $PLACES; do
        [ -n "$2" ] && [ -d $place ] || continue
        found=$(first_of $place -user "$2")
        [ -z "$found" ] || { echo "$found cannot be removed"; return; }
    done
    for place in $(conf wipe); do
        found=$(first_of "$place" -mindepth 1)
        [ -z "$found" ] || { echo "$found cannot be removed"; return; }
    done
    [ ! -e "$WORK" ] && [ ! -e "$UNIT" ] || echo "the agent's files cannot be removed"
}
wipe() {
    user=$(account) uid=$(contents "$STATE/uid")
    [ -n "$uid" ] || { [ -z "$user" ] || uid=$(uid_of "$user"); }
    [ -z "$user" ] || rm -rf "/home/$user" 2>/dev/null
    for place in $PLACES; do
        if [ -n "$uid" ] && [ -d $place ]; then find $place -depth -user "$uid" -exec rm -rf {} + 2>/dev/null; fi
    done
    for place in $(conf wipe); do find "$place" -mindepth 1 -depth -exec rm -rf {} + 2>/dev/null; done
    rm -rf "$WORK" "$STATE/agent.log" "$STATE/wanted"
    command=$(conf wipe_command)
    if [ -n "$command" ]; then
        said=$($command 2>&1 </dev/null 9>&-) || { echo "$command says: $(printf %s "$said" | tail -n 1)"; return; }
    fi
    if [ -n "$user" ] && [ -n "$(uid_of "$user")" ]; then
        userdel "$user" >/dev/null 2>&1 9>&-
    fi
    remains "$user" "$uid"
}

# --- the words -------------------------------------------------------------------------------------------------

tell() {
    say protocol $PROTOCOL
    say digest $DIGEST
    say time "$(date +%s)"
    say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
    say arch "$(uname -m)"
    say cpus "$(grep -c '^processor' /proc/cpuinfo)"
    say memory_mib "$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)"
    say disk_free_mib "$(free_mib /home)"
    if with_systemd; then say supervisor systemd; else say supervisor stead; fi
    [ ! -f "$STATE/drained" ] || say drained "$(encoded "$(cat "$STATE/drained")")"
    [ ! -f "$STATE/dirty" ] || say dirty "$(encoded "$(cat "$STATE/dirty")")"
    if [ -f "$CLAIM" ]; then
        cat "$CLAIM"
        say phase "$(phase)"
        say user "$(account)"
        say wanted "$(contents "$STATE/wanted")"
        say agent "$(agent_state)"
    else
        ill=$(ailment)
        [ -z "$ill" ] || say ailment "$(encoded "$ill")"
    fi
}
claim() {
    locked
    need_key
    if [ -f "$CLAIM" ]; then
        if [ "$(field key)" = "$in_key" ]; then say outcome mine; return; fi
        cat "$CLAIM"
        exit $BUSY
    fi
    [ ! -f "$STATE/drained" ] || stop_with $DRAINED "$(cat "$STATE/drained")"
    [ ! -f "$STATE/dirty" ] || stop_with $DIRTY "$(cat "$STATE/dirty")"
    ill=$(ailment)
    [ -z "$ill" ] || stop_with $UNHEALTHY "$ill"
    mine=$STATE/claim.$$
    {
        for name in key deployment workspace name owner build; do eval "say $name \"\$in_$name\""; done
        say since "$(date +%s)"
    } >"$mine" && flushed "$mine" || stop_with $BROKEN "$STATE cannot be written"
    printf 'claimed\n' >"$STATE/phase"
    # A link is made whole or not at all, and never over another one.
    ln "$mine" "$CLAIM" 2>/dev/null || { rm -f "$mine"; exit $BUSY; }
    rm -f "$mine"
    flushed "$STATE"
    say outcome claimed
}
prepare() {
    locked
    ours
    case $in_user in '' | [!a-z_]* | *[!a-z0-9_-]* | root) stop_with $REFUSED "that is no name for a workspace's account" ;; esac
    case $(phase) in claimed | preparing) set_phase preparing ;; releasing) stop_with $DIRTY "the machine is being released" ;; esac
    make_account
    set_phase ready
}
start() {
    locked
    ours
    [ "$(phase)" = ready ] || stop_with $REFUSED "the machine is not prepared"
    stop_agent "${in_grace:-20}"
    mkdir -p "$WORK" && chgrp "$(id -g "$(account)")" "$WORK" && chmod 750 "$WORK" || stop_with $BROKEN "$WORK cannot be made"
    printf %s "$in_environment" | base64 -d | keep "$WORK/environment" || stop_with $BROKEN "$WORK cannot be written"
    printf %s "$in_script" | base64 -d | keep "$WORK/script" || stop_with $BROKEN "$WORK cannot be written"
    chgrp "$(id -g "$(account)")" "$WORK/environment" "$WORK/script" && chmod 640 "$WORK/environment" "$WORK/script"
    echo running | keep "$STATE/wanted"
    start_agent || stop_with $BROKEN "the agent cannot be started"
}
stop() {
    locked
    ours
    [ ! -f "$WORK/script" ] || echo stopped | keep "$STATE/wanted"
    stop_agent "${in_grace:-20}"
}
release() {
    locked
    ours
    set_phase releasing
    echo stopped >"$STATE/wanted"
    stop_agent "${in_grace:-5}"
    # What is killed in the middle says nothing, which must not count as that nothing is left.
    left=$(wipe) || left=$(wipe) || left="the wiping was interrupted"
    if [ -n "$left" ]; then
        printf '%s\n' "$left" | keep "$STATE/dirty"
        stop_with $DIRTY "$left"
    fi
    rm -f "$STATE/account" "$STATE/uid" "$STATE/dirty"
    # The claim goes last: until then nobody else can have the machine.
    rm -f "$CLAIM"
    flushed "$STATE"
    rm -f "$STATE/phase"
}
drain() {
    locked
    printf %s "$in_reason" | base64 -d | keep "$STATE/drained"
}
undrain() {
    locked
    forget "$STATE/drained"
}
log() {
    if with_systemd; then text=$(journalctl --unit "${UNIT##*/}" --lines 40 --no-pager --output cat 2>/dev/null)
    else text=$(tail -n 40 "$STATE/agent.log" 2>/dev/null); fi
    say log "$(encoded "$text")"
}
poweroff() {
    ours
    # Later than the answer.
    { sleep 1; with_systemd && systemctl poweroff || command poweroff; } </dev/null >/dev/null 2>&1 &
}
boot() {
    # For machines without systemd and cron: their init calls it.
    with_systemd || { [ "$(contents "$STATE/wanted")" = running ] && [ "$(phase)" = ready ] && start_agent; }
}

case ${1:-} in
status) tell ;;
claim | prepare | start | stop | release | drain | undrain | poweroff) read_input; "$1" ;;
log | run | supervise | boot) "$1" ;;
*) stop_with $REFUSED "there is no such word" ;;
esac

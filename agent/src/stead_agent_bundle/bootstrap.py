"""The bootstrap script: fetches the bundle into a workspace and starts the agent.

POSIX shell for dash and busybox's ash. It holds no single quote, since templates put it in single quotes, and nothing
to replace but ``${ACCESS_URL}``.
"""

from __future__ import annotations

SCRIPT = r"""#!/bin/sh
# Fetches the Stead agent and starts it.
set -u
BASE="${ACCESS_URL}"
URL="$BASE%(path)s"
SUM="%(sha256)s"
NAME="stead-agent-%(short)s"
: "${CODER_AGENT_URL:=${STEAD_AGENT_URL:-$BASE}}"
export CODER_AGENT_URL
say() { echo "stead: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
fail() { say "$*"; exit 1; }
machine=$(uname -m 2>/dev/null || echo %(machine)s)
case "$machine" in %(machines)s) ;; *) fail "this agent is for %(platform)s, but the machine is $machine" ;; esac

fetch_curl() { have curl && curl -fsSL --connect-timeout 20 -o "$2" "$1"; }
fetch_wget() { have wget && wget -q -O "$2" "$1"; }
fetch_busybox() { have busybox && busybox wget -q -O "$2" "$1"; }
fetch_python() {
  [ -n "$PY" ] && "$PY" -c "import socket,ssl,sys
u=sys.argv[1]; s,r=u.split(\"://\",1); h,_,p=r.partition(\"/\"); n,_,q=h.partition(\":\")
c=socket.create_connection((n,int(q or (443 if s==\"https\" else 80))),60)
if s==\"https\": c=ssl.create_default_context().wrap_socket(c,server_hostname=n)
c.sendall((\"GET /\"+p+\" HTTP/1.0\r\nHost: \"+h+\"\r\n\r\n\").encode())
f=c.makefile(\"rb\"); l=f.readline()
if b\" 200 \" not in l: sys.exit(l.decode(\"ascii\",\"replace\"))
while f.readline() not in (b\"\r\n\",b\"\"): pass
o=open(sys.argv[2],\"wb\")
while True:
  d=f.read(65536)
  if not d: break
  o.write(d)
o.close()" "$1" "$2"
}
fetch_perl() {
  have perl && perl -MHTTP::Tiny -e "my \$r=HTTP::Tiny->new(timeout=>60)->mirror(\$ARGV[0],\$ARGV[1]);
exit(\$r->{success}?0:1)" "$1" "$2"
}
fetch_bash() {
  have bash && have cat && bash -c "u=\${1#http://}; [ \"\$u\" != \"\$1\" ] || exit 1
h=\${u%%%%/*}; p=/\${u#*/}; P=\${h##*:}; [ \"\$P\" != \"\$h\" ] || P=80
exec 3<>/dev/tcp/\${h%%%%:*}/\$P || exit 1
printf \"GET %%s HTTP/1.0\r\nHost: %%s\r\n\r\n\" \"\$p\" \"\$h\" >&3
IFS= read -r s <&3; case \"\$s\" in *\" 200 \"*) ;; *) exit 1 ;; esac
while IFS= read -r l <&3; do [ -n \"\${l%%%%[[:cntrl:]]}\" ] || break; done
cat <&3 >\"\$2\"" bash "$1" "$2"
}
fetch() {
  if ! { have curl || have wget || have busybox || [ -n "$PY" ] || have perl || have bash; }; then
    fail "nothing here can fetch the agent: add curl, wget, busybox, python3, perl or bash to the image"
  fi
  : >"$2.errors"
  for way in curl wget busybox python perl bash; do
    fetch_$way "$1" "$2" 2>>"$2.errors" && return 0
  done
  return 1
}
why() { if have head && [ -s "$1" ]; then echo ": $(head -n 1 "$1")"; fi; }
PY=""
for p in python3 python; do if have $p; then PY=$p; break; fi; done

digest() {
  if have sha256sum; then sha256sum "$1"
  elif have busybox && busybox sha256sum /dev/null >/dev/null 2>&1; then busybox sha256sum "$1"
  elif have openssl; then openssl dgst -sha256 -r "$1"
  elif [ -n "$PY" ]; then
    "$PY" -c "import hashlib,sys;print(hashlib.sha256(open(sys.argv[1],\"rb\").read()).hexdigest())" "$1"
  elif have shasum; then shasum -a 256 "$1"
  else echo unknown; fi
}
check() {
  got=$(digest "$1"); got=${got%%%% *}
  if [ "$got" = unknown ]; then
    say "nothing here can check the agent (sha256sum, openssl, python3): it is used unchecked"
    return 0
  fi
  [ "$got" = "$SUM" ]
}
unpack() {
  if have tar && { have gzip || tar --help 2>&1 | grep -qi busybox; }; then tar -xzf "$1" -C "$2"
  elif have busybox && busybox tar --help >/dev/null 2>&1; then busybox tar -xzf "$1" -C "$2"
  elif [ -n "$PY" ]; then
    "$PY" -c "import sys,tarfile;tarfile.open(sys.argv[1]).extractall(sys.argv[2])" "$1" "$2"
  else fail "nothing here can unpack the agent: add tar and gzip, busybox or python3 to the image"; fi
}
remove() { if have rm; then rm -rf "$@"; elif have busybox; then busybox rm -rf "$@"; fi; }
make() {
  if have mkdir; then mkdir -p "$@"; elif have busybox; then busybox mkdir -p "$@"; else return 1; fi 2>/dev/null
}
move() { if have mv; then mv "$@"; else busybox mv "$@"; fi 2>/dev/null; }
pause() { if have sleep; then sleep "$1"; else busybox sleep "$1"; fi; }
usable() {
  make "$1" || return 1
  probe="$1/.probe-$$"
  { echo "#!/bin/sh" >"$probe" && echo "exit 0" >>"$probe"; } 2>/dev/null || return 1
  if have chmod; then chmod 700 "$probe"; else busybox chmod 700 "$probe"; fi
  "$probe" 2>/dev/null; ok=$?
  remove "$probe"
  return $ok
}
start() { cd "${HOME:-/}" 2>/dev/null || cd /; exec "$1/stead-agent" agent; }

ID=$(id -u 2>/dev/null || busybox id -u 2>/dev/null || echo x)
DIRS="${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}"
for d in ${DIRS:+"$DIRS/stead"} "/tmp/stead-$ID" "/var/tmp/stead-$ID" "/dev/shm/stead-$ID" "${PWD%%/}/.stead"; do
  if [ -f "$d/$NAME/.complete" ] && [ -O "$d/$NAME" ]; then start "$d/$NAME"; fi
done
DIR=""
for d in ${DIRS:+"$DIRS/stead"} "/tmp/stead-$ID" "/var/tmp/stead-$ID" "/dev/shm/stead-$ID" "${PWD%%/}/.stead"; do
  if usable "$d"; then DIR=$d; break; fi
done
[ -n "$DIR" ] || fail "no writable folder that allows programs: tried ${DIRS:-\$HOME/.cache}, /tmp, /var/tmp, /dev/shm"

WORK="$DIR/.unpack-$$"
trap "remove \"$WORK\"" EXIT
make "$WORK/new" || fail "$WORK cannot be made"
wait=1
tries=0
while :; do
  if fetch "$URL" "$WORK/agent.tar.gz"; then
    if check "$WORK/agent.tar.gz"; then break; fi
    say "the agent that was fetched from $URL is damaged or of another version (sha256 $got, wanted $SUM)"
  else
    say "the agent cannot be fetched from $URL$(why "$WORK/agent.tar.gz.errors")"
  fi
  tries=$((tries + 1))
  [ $tries -lt ${STEAD_BOOTSTRAP_TRIES:-60} ] ||
    fail "giving up after $tries attempts: check that the workspace reaches $BASE"
  say "trying again in $wait s"
  pause $wait
  wait=$((wait * 2)); [ $wait -le 30 ] || wait=30
done
unpack "$WORK/agent.tar.gz" "$WORK/new" || fail "the agent could not be unpacked in $WORK"
: >"$WORK/new/.complete"
remove "$DIR/$NAME"
move "$WORK/new" "$DIR/$NAME" || [ -f "$DIR/$NAME/.complete" ] || fail "$DIR/$NAME cannot be made"
remove "$WORK"
trap - EXIT
start "$DIR/$NAME"
"""
MACHINES = {"linux-amd64": ("x86_64", "x86_64 | amd64"), "linux-arm64": ("aarch64", "aarch64 | arm64")}


def bootstrap_script(platform: str, path: str, sha256: str) -> str:
    """The script for one platform.

    :param path: where the control plane serves the archive.
    """
    machine, machines = MACHINES[platform]
    return SCRIPT % {
        "path": path,
        "sha256": sha256,
        "short": sha256[:16],
        "machine": machine,
        "machines": machines,
        "platform": platform,
    }

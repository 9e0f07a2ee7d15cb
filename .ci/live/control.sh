#!/usr/bin/env bash
# control.sh FOLDER STORE start|stop|kill|freeze|thaw: does to a server of the live suite what happens to
# servers. FOLDER holds, for each store, how it is run (STORE.run) and its port (STORE.port).
set -euo pipefail
folder=$1 store=$2 deed=$3

buried() { # SECONDS at most. Until then PostgreSQL takes one that is dead and still listed for a living one.
    for _ in $(seq $((20 * $1))); do
        [ -e "/proc/$(cat "$folder/$store.pid")" ] || return 0
        sleep 0.05
    done
    return 1
}
pids() { # the server and its children
    local pid
    pid=$(cat "$folder/$store.pid")
    echo "$pid"
    pgrep -P "$pid" || true
}
ready() {
    local port
    port=$(cat "$folder/$store.port")
    case $store in
    minio)
        exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
        printf 'GET /minio/health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
        head -1 <&3 | grep -q ' 200 '
        ;;
    # These listen long before they have recovered.
    redis)
        exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
        printf 'PING\r\n' >&3
        head -1 <&3 | grep -q PONG
        ;;
    postgres) "$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)/pg_isready" -q -h 127.0.0.1 -p "$port" ;;
    *) exec 3<>"/dev/tcp/127.0.0.1/$port" ;;
    esac
}

case $deed in
start)
    setsid bash "$folder/$store.run" >>"$folder/$store.log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$folder/$store.pid"
    for _ in $(seq 900); do
        (ready) 2>/dev/null && exit 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -5 "$folder/$store.log"
    exit 1
    ;;
stop) # In good order: what a read-only server could not recover is on its disk then.
    kill -TERM "$(cat "$folder/$store.pid")"
    buried 90
    ;;
kill)
    # shellcheck disable=SC2046 # several numbers
    kill -KILL $(pids) 2>/dev/null || true
    buried 10 || rm -f "$folder/$store/postmaster.pid"
    ;;
freeze)
    # shellcheck disable=SC2046
    kill -STOP $(pids)
    ;;
thaw)
    # shellcheck disable=SC2046
    kill -CONT $(pids) 2>/dev/null || true
    ;;
*)
    echo "expected start, stop, kill, freeze or thaw, got $deed"
    exit 2
    ;;
esac

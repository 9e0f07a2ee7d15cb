#!/usr/bin/env bash
# The backup drill on real stores: installs PostgreSQL, Redis, MinIO and Neo4j from the package
# registries, starts them on loopback ports of their own, and runs the tests that are ignored
# elsewhere; with arguments, runs these as a command in the same surroundings. Prints what ran and
# what was skipped, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"
tools="$HOME/.cache/shakedown-ci/stores"
mkdir -p "$tools"
work=$(mktemp -d /tmp/shakedown-stores.XXXXXX)
chmod 711 "$work"
log="$work/install.log"
ran=() skipped=() pids=()

stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    [ -s "$work/postgres/postmaster.pid" ] && kill -INT "$(head -1 "$work/postgres/postmaster.pid")" 2>/dev/null
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listening() { # PORT SECONDS
    for _ in $(seq $(($2 * 10))); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}
apt_install() {
    [ "$(id -u)" -eq 0 ] || return 1
    apt-get update -qq >>"$log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1
}
secret() { # NAME: a password in a file of its own
    head -c 18 /dev/urandom | base64 | tr '+/' 'xy' >"$work/$1.secret"
    cat "$work/$1.secret"
}

start_postgres() {
    local bin
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
    if [ ! -x "$bin/initdb" ]; then
        apt_install postgresql || return 1
        bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    fi
    local port as=()
    port=$(free_port)
    secret postgres >/dev/null
    mkdir -m 700 "$work/postgres"
    # PostgreSQL refuses to run as root.
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$work/postgres" "$work/postgres.secret"
        as=(runuser -u postgres --)
    fi
    (cd "$work/postgres" &&
        "${as[@]}" "$bin/initdb" -D "$work/postgres" -U drill -A scram-sha-256 --pwfile="$work/postgres.secret" &&
        "${as[@]}" "$bin/pg_ctl" -D "$work/postgres" -w -l "$work/postgres/log" \
            -o "-h 127.0.0.1 -p $port -k $work/postgres" start) >>"$log" 2>&1 || return 1
    chown "$(id -u)" "$work/postgres.secret"
    export SHAKEDOWN_LIVE_POSTGRES="postgres://127.0.0.1:$port/postgres" SHAKEDOWN_LIVE_POSTGRES_USER=drill
    export SHAKEDOWN_LIVE_POSTGRES_PASSWORD="$work/postgres.secret"
}

start_redis() {
    command -v redis-server >/dev/null || apt_install redis-server || return 1
    local port
    port=$(free_port)
    mkdir "$work/redis"
    redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$work/redis" >>"$log" 2>&1 &
    pids+=($!)
    listening "$port" 10 || return 1
    export SHAKEDOWN_LIVE_REDIS="redis://127.0.0.1:$port/0"
}

start_minio() {
    local minio="$tools/minio"
    if [ ! -x "$minio" ]; then
        command -v go >/dev/null || apt_install golang || return 1
        GOBIN="$tools" CGO_ENABLED=0 go install github.com/minio/minio@latest >>"$log" 2>&1 || return 1
    fi
    local port password
    port=$(free_port)
    password=$(secret minio)
    mkdir "$work/minio"
    MINIO_ROOT_USER=drilladmin MINIO_ROOT_PASSWORD="$password" MINIO_BROWSER=off \
        "$minio" server "$work/minio" --address "127.0.0.1:$port" >>"$log" 2>&1 &
    pids+=($!)
    listening "$port" 20 || return 1
    export SHAKEDOWN_LIVE_MINIO="http://127.0.0.1:$port" SHAKEDOWN_LIVE_MINIO_USER=drilladmin
    export SHAKEDOWN_LIVE_MINIO_PASSWORD="$work/minio.secret"
}

# There is no server launcher of Neo4j in the registries, but the same kernel and Bolt server.
start_neo4j() {
    command -v java >/dev/null || apt_install default-jdk-headless || return 1
    local lib="$tools/neo4j-5.26.0"
    if [ ! -e "$lib/complete" ]; then
        command -v mvn >/dev/null || apt_install maven || return 1
        mkdir -p "$lib"
        cat >"$lib/pom.xml" <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>shakedown</groupId><artifactId>live-neo4j</artifactId><version>1</version>
<dependencies><dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>5.26.0</version></dependency></dependencies></project>
POM
        (cd "$lib" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$lib/jars") >>"$log" 2>&1 || return 1
        touch "$lib/complete"
    fi
    local port
    port=$(free_port)
    java -Xmx600m --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
        -cp "$lib/jars/*" .ci/live/Neo4j.java "$work/neo4j" "$port" >>"$log" 2>&1 &
    pids+=($!)
    listening "$port" 90 || return 1
    export SHAKEDOWN_LIVE_NEO4J="bolt://127.0.0.1:$port"
}

for store in postgres redis minio neo4j; do
    began=$SECONDS
    if "start_$store"; then
        ran+=("$store")
        echo "live stores: $store is up after $((SECONDS - began)) s"
    else
        skipped+=("$store")
        echo "live stores: $store does not come up here:"
        tail -5 "$log" || true
    fi
done
if [ -n "${SHAKEDOWN_LIVE_QDRANT:-}" ]; then ran+=(qdrant); else skipped+=("qdrant (give a server by SHAKEDOWN_LIVE_QDRANT)"); fi
echo "live stores: ran: ${ran[*]:-none}; skipped: ${skipped[*]:-none}"
if [ $# -gt 0 ]; then
    "$@"
    exit
fi
timeout 1500 cargo test --locked --test live_stores -- --ignored --test-threads 1
# Where the packages can be had, a store that did not run is a failure, not a footnote.
[ "${#ran[@]}" -ge 4 ] || { echo "live stores: a part that can be installed did not run"; exit 1; }

#!/usr/bin/env bash
# The backup drill on real stores: installs PostgreSQL, Redis, MinIO and Neo4j from the package
# registries, starts them on loopback ports of their own, and runs the tests that are ignored
# elsewhere; with arguments, runs these as a command in the same surroundings. Qdrant, which no
# registry has, only where SHAKEDOWN_LIVE_QDRANT names a server. Prints what ran and what was skipped,
# fails when a store that can be had did not run, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"
tools="$HOME/.cache/shakedown-ci/stores"
mkdir -p "$tools"
work=$(mktemp -d /tmp/shakedown-stores.XXXXXX)
chmod 711 "$work"
export SHAKEDOWN_LIVE_CONTROL="$PWD/.ci/live/control.sh" SHAKEDOWN_LIVE_FOLDER="$work"
log="$work/install.log"
ran=() skipped=() failed=()

stop() {
    for file in "$work"/*.pid; do
        [ -e "$file" ] && bash "$SHAKEDOWN_LIVE_CONTROL" "$work" "$(basename "$file" .pid)" kill
    done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
apt_install() {
    [ "$(id -u)" -eq 0 ] || return 1
    apt-get update -qq >>"$log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1
}
secret() { # NAME: a password in a file of its own
    head -c 18 /dev/urandom | base64 | tr '+/' 'xy' >"$work/$1.secret"
    chmod 600 "$work/$1.secret"
    cat "$work/$1.secret"
}

# An authority that only the suite knows, and what the servers show of it.
certificates() {
    command -v openssl >/dev/null || apt_install openssl || return 1
    mkdir "$work/tls"
    (
        cd "$work/tls"
        for name in authority stranger; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$name" \
                -keyout "$name.key" -out "$name.crt"
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
            -keyout private.key -out server.csr
        openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 \
            -extfile <(echo 'subjectAltName=IP:127.0.0.1,DNS:localhost') -out public.crt
        chmod 755 . && chmod 644 private.key ./*.crt
    ) >>"$log" 2>&1 || return 1
    export SHAKEDOWN_LIVE_TLS_AUTHORITY="$work/tls/authority.crt" SHAKEDOWN_LIVE_TLS_STRANGER="$work/tls/stranger.crt"
}

# Each store: have_STORE finds or installs it, plan_STORE PORT writes how it is run.
postgres_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1; }
have_postgres() { [ -x "$(postgres_bin)/initdb" ] || apt_install postgresql; }
plan_postgres() {
    local bin as=()
    bin=$(postgres_bin)
    secret postgres >/dev/null
    mkdir -m 700 "$work/postgres"
    # PostgreSQL refuses to run as root.
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$work/postgres" "$work/postgres.secret"
        as=(setpriv --reuid postgres --regid postgres --init-groups)
    fi
    (cd "$work/postgres" && "${as[@]}" "$bin/initdb" -D "$work/postgres" -U drill -A scram-sha-256 \
        --pwfile="$work/postgres.secret") >>"$log" 2>&1 || return 1
    chown "$(id -u)" "$work/postgres.secret"
    cp "$work/tls/public.crt" "$work/tls/private.key" "$work/postgres/"
    chmod 600 "$work/postgres/private.key"
    [ "${#as[@]}" -eq 0 ] || chown postgres "$work/postgres/private.key" "$work/postgres/public.crt"
    echo "cd $work/postgres; exec ${as[*]} $bin/postgres -D $work/postgres -h 127.0.0.1 -p $1 -k $work/postgres \
-c ssl=on -c ssl_cert_file=public.crt -c ssl_key_file=private.key" >"$work/postgres.run"
    export SHAKEDOWN_LIVE_TLS_POSTGRES="postgres://127.0.0.1:$1/postgres?sslmode=verify-full"
    export SHAKEDOWN_LIVE_POSTGRES="postgres://127.0.0.1:$1/postgres?sslmode=disable" SHAKEDOWN_LIVE_POSTGRES_USER=drill
    export SHAKEDOWN_LIVE_POSTGRES_PASSWORD="$work/postgres.secret"
}

have_redis() { command -v redis-server >/dev/null || apt_install redis-server; }
plan_redis() {
    local encrypted
    encrypted=$(free_port)
    mkdir "$work/redis"
    # Every write on disk at once: what was there before a kill has to be there after it.
    echo "exec redis-server --port $1 --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always --dir $work/redis \
--tls-port $encrypted --tls-cert-file $work/tls/public.crt --tls-key-file $work/tls/private.key \
--tls-ca-cert-file $work/tls/authority.crt --tls-auth-clients no" >"$work/redis.run"
    export SHAKEDOWN_LIVE_TLS_REDIS="rediss://127.0.0.1:$encrypted/0"
    export SHAKEDOWN_LIVE_REDIS="redis://127.0.0.1:$1/0"
}

have_minio() {
    [ -x "$tools/minio" ] && return
    command -v go >/dev/null || apt_install golang || return 1
    GOBIN="$tools" CGO_ENABLED=0 go install github.com/minio/minio@latest >>"$log" 2>&1
}
plan_minio() {
    local password
    password=$(secret minio)
    mkdir "$work/minio"
    cat >"$work/minio.run" <<RUN
export MINIO_ROOT_USER=drilladmin MINIO_ROOT_PASSWORD=$password MINIO_BROWSER=off
exec $tools/minio server $work/minio --address 127.0.0.1:$1
RUN
    chmod 600 "$work/minio.run"
    export SHAKEDOWN_LIVE_MINIO="http://127.0.0.1:$1" SHAKEDOWN_LIVE_MINIO_USER=drilladmin
    export SHAKEDOWN_LIVE_MINIO_PASSWORD="$work/minio.secret"
}
# It speaks one of both on all its ports: a second one, and that in another region.
have_minio_tls() { have_minio; }
plan_minio_tls() {
    mkdir "$work/minio_tls"
    cat >"$work/minio_tls.run" <<RUN
export MINIO_ROOT_USER=drilladmin MINIO_ROOT_PASSWORD=$(cat "$work/minio.secret") MINIO_BROWSER=off MINIO_REGION=eu-central-1
exec $tools/minio server $work/minio_tls --address 127.0.0.1:$1 --certs-dir $work/tls
RUN
    chmod 600 "$work/minio_tls.run"
    export SHAKEDOWN_LIVE_TLS_MINIO="https://127.0.0.1:$1" SHAKEDOWN_LIVE_TLS_MINIO_REGION=eu-central-1
}

# A user of MinIO that may only read, made as its administrators make one.
minio_reader() {
    [ -x "$tools/mc" ] || GOBIN="$tools" CGO_ENABLED=0 go install github.com/minio/mc@latest || return 1
    local mc=("$tools/mc" --config-dir "$work/mc")
    echo '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":["arn:aws:s3:::*"]}]}' \
        >"$work/reader.json"
    "${mc[@]}" alias set drill "$SHAKEDOWN_LIVE_MINIO" drilladmin "$(cat "$work/minio.secret")" &&
        "${mc[@]}" admin policy create drill reader "$work/reader.json" &&
        "${mc[@]}" admin user add drill sd_reader reader-secret &&
        "${mc[@]}" admin policy attach drill reader --user sd_reader
}

# There is no server launcher of Neo4j in the registries, but the same kernel and Bolt server.
neo4j_lib="$tools/neo4j-5.26.0"
have_neo4j() {
    command -v java >/dev/null || apt_install default-jdk-headless || return 1
    [ -e "$neo4j_lib/complete" ] && return
    command -v mvn >/dev/null || apt_install maven || return 1
    mkdir -p "$neo4j_lib"
    cat >"$neo4j_lib/pom.xml" <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>shakedown</groupId><artifactId>live-neo4j</artifactId><version>1</version>
<dependencies><dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>5.26.0</version></dependency></dependencies></project>
POM
    (cd "$neo4j_lib" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$neo4j_lib/jars") >>"$log" 2>&1 || return 1
    touch "$neo4j_lib/complete"
}
plan_neo4j() {
    echo "exec java -Xmx600m --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
-cp '$neo4j_lib/jars/*' $PWD/.ci/live/Neo4j.java $work/neo4j $1 $work/tls $work/neo4j.read-only" >"$work/neo4j.run"
    # As one that is installed is found by the sandbox: on the PATH.
    mkdir "$work/installed" && ln -s "$neo4j_lib/jars" "$work/installed/jars"
    cp .ci/live/neo4j .ci/live/Neo4jConsole.java "$work/installed/"
    export SHAKEDOWN_LIVE_INSTALLED_NEO4J="$work/installed"
    export SHAKEDOWN_LIVE_TLS_NEO4J="bolt+s://127.0.0.1:$1"
    export SHAKEDOWN_LIVE_NEO4J="bolt://127.0.0.1:$1"
}
certificates || { tail -5 "$log"; exit 1; }
for store in postgres redis minio minio_tls neo4j; do
    began=$SECONDS
    if ! "have_$store"; then
        skipped+=("$store (it cannot be installed here)")
        tail -5 "$log" || true
        continue
    fi
    port=$(free_port)
    echo "$port" >"$work/$store.port"
    if "plan_$store" "$port" && bash "$SHAKEDOWN_LIVE_CONTROL" "$work" "$store" start; then
        ran+=("$store")
        echo "live stores: $store is up after $((SECONDS - began)) s"
    else
        failed+=("$store")
        unset "SHAKEDOWN_LIVE_${store^^}"
        tail -5 "$log" || true
    fi
done
if [ -n "${SHAKEDOWN_LIVE_MINIO:-}" ] && ! minio_reader >>"$log" 2>&1; then
    failed+=("minio's reader")
    tail -5 "$log"
fi
if [ -n "${SHAKEDOWN_LIVE_QDRANT:-}" ]; then ran+=(qdrant); else skipped+=("qdrant (name a server by SHAKEDOWN_LIVE_QDRANT)"); fi
summary() {
    list() { local IFS=,; echo "${*:-none}"; }
    echo "live stores: ran: $(list "${ran[@]}"); skipped: $(list "${skipped[@]}"); failed: $(list "${failed[@]}")"
}
summary
if [ $# -gt 0 ]; then
    "$@"
    exit
fi
timeout 1500 cargo test --locked --test live_stores -- --ignored --test-threads 1
summary
# A store that is installed and does not run is a failure, not a footnote.
[ "${#failed[@]}" -eq 0 ]

#!/usr/bin/env bash
# Chaos on a real Docker engine: installs and starts one of its own on this machine, makes its images
# by import (no registry), and runs the tests that are ignored elsewhere. Leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"

if [ "$(id -u)" -ne 0 ]; then
    echo "live docker suite: not run, it needs root"
    exit 0
fi
missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v nft >/dev/null || missing+=(nftables)
command -v iptables >/dev/null || missing+=(iptables)
command -v nsenter >/dev/null || missing+=(util-linux)
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
dpkg -s busybox-static >/dev/null 2>&1 || missing+=(busybox-static)
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}"
    apt-get update -qq >/dev/null || true
    if ! apt-get install -y -qq --no-install-recommends "${missing[@]}" >/tmp/shakedown-live-apt.log 2>&1; then
        echo "live docker suite: not run, its packages cannot be installed"
        tail -3 /tmp/shakedown-live-apt.log
        exit 0
    fi
fi

work=$(mktemp -d /tmp/shakedown-live.XXXXXX)
export DOCKER_HOST="unix://$work/docker.sock"
# Certificates for the same engine over TLS.
listen=(--host "$DOCKER_HOST")
if command -v openssl >/dev/null; then
    tls="$work/tls"
    mkdir "$tls"
    make() { # NAME SUBJECT EXTENSION
        openssl req -newkey rsa:2048 -nodes -keyout "$tls/$1.pem" -subj "/CN=$2" -out "$tls/$1.csr"
        openssl x509 -req -days 2 -in "$tls/$1.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca-key.pem" \
            -CAcreateserial -extfile <(echo "$3") -out "$tls/$4.pem"
    }
    {
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=suite -keyout "$tls/ca-key.pem" \
            -out "$tls/ca.pem"
        make server-key localhost 'subjectAltName=IP:127.0.0.1' server
        make key client 'extendedKeyUsage=clientAuth' cert
    } >"$tls/log" 2>&1
    export LIVE_CERTIFICATES="$tls" LIVE_TLS=tcp://127.0.0.1:23760
    listen+=(--host "$LIVE_TLS" --tlsverify --tlscacert "$tls/ca.pem"
        --tlscert "$tls/server.pem" --tlskey "$tls/server-key.pem")
else
    echo "an engine over TLS: not run live, there is no openssl"
fi
# A real login: a server of its own on a loopback port, with keys of its own, and the user's own client.
ssh="$work/ssh"
mkdir "$ssh"
for key in server user; do
    ssh-keygen -q -t ed25519 -N '' -f "$ssh/$key"
done
cp "$ssh/user.pub" "$ssh/authorized"
cat >"$ssh/sshd_config" <<END
ListenAddress 127.0.0.1:22760
HostKey $ssh/server
AuthorizedKeysFile $ssh/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv DOCKER_HOST=$DOCKER_HOST PATH=$PATH
END
cat >"$ssh/config" <<END
IdentityFile $ssh/user
IdentitiesOnly yes
UserKnownHostsFile $ssh/known_hosts
END
echo "[127.0.0.1]:22760 $(cut -d' ' -f1-2 "$ssh/server.pub")" >"$ssh/known_hosts"
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f "$ssh/sshd_config" >"$ssh/log" 2>&1 &
login=$!
export LIVE_SSH="ssh://$(id -un)@127.0.0.1:22760" LIVE_SSH_CONFIG="$ssh/config"

dockerd "${listen[@]}" --data-root "$work/data" --exec-root "$work/exec" \
    --pidfile "$work/pid" --bridge none >"$work/log" 2>&1 &
daemon=$!
export LIVE_DOCKERD=$daemon
# Another engine, whose containers use the machine's own network.
export LIVE_SECOND="unix://$work/second.sock"
dockerd --host "$LIVE_SECOND" --data-root "$work/data-2" --exec-root "$work/exec-2" \
    --pidfile "$work/pid-2" --bridge none --iptables=false >"$work/log-2" 2>&1 &
second=$!
stop() {
    kill -CONT "$daemon" 2>/dev/null || true
    docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1 || true
    docker network ls -q --filter type=custom 2>/dev/null | xargs -r docker network rm >/dev/null 2>&1 || true
    docker -H "$LIVE_SECOND" ps -aq 2>/dev/null | xargs -r docker -H "$LIVE_SECOND" rm -f >/dev/null 2>&1 || true
    kill "$daemon" "$second" "$login" 2>/dev/null || true
    wait "$daemon" "$second" "$login" 2>/dev/null || true
    # The engines leave the namespaces of their containers mounted.
    umount "$work"/exec*/netns/* 2>/dev/null || true
    rm -rf "$work" 2>/dev/null || true
}
trap stop EXIT
for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && docker -H "$LIVE_SECOND" version >/dev/null 2>&1 && break
    sleep 0.1
done
if ! docker version >/dev/null 2>&1; then
    echo "live docker suite: not run, no engine comes up here"
    tail -3 "$work/log"
    exit 0
fi
docker version --format 'Docker engine {{.Server.Version}}, API {{.Server.APIVersion}}'
echo "cgroup v2 with the systemd driver: not run live"
command -v trivy >/dev/null || echo "the real Trivy: not run live, it is not on the PATH (a stand-in of its name is)"
echo "an engine on another machine, with another clock: not run live"
# The names of some tests, to run these alone.
timeout "${LIVE_SECONDS:-1200}" \
    cargo test --locked --test live_docker -- --ignored --test-threads 1 "$@"

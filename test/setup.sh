#!/bin/bash
# Makes sure that the tools which builds, tests and the demo call are there: as root through apt, what is missing and
# nothing else; as an ordinary user it says what is missing and how to get it. Does nothing if nothing is missing.
# With the argument "runtime" or "e2e" also what a container runtime, another kernel, a booted systemd, Ansible, etcd and the checks
# of packages and alert rules take, which need root anyway; with "e2e" a browser too, and packages that only the tests' own
# servers get, in bin/debs: on this machine they would take over the network, or have timers.
set -euo pipefail

# command, Debian package that has it
tools='
ip              iproute2
bridge          iproute2
iptables-save   iptables
ip6tables-save  iptables
nft             nftables
sysctl          procps
ping            iputils-ping
nsenter         util-linux
unshare         util-linux
setpriv         util-linux
strace          strace
git             git
'
if [[ ${1-} = runtime || ${1-} = e2e ]] && [ "$(id -u)" -eq 0 ]; then
    tools+='
promtool        prometheus
systemd-analyze systemd
systemd-nspawn  systemd-container
dbus-daemon     dbus-daemon
rpm             rpm
mandoc          mandoc
containerd      containerd
runc            runc
busybox         busybox-static
podman          podman
conmon          conmon
qemu-system-x86_64 qemu-system-x86
depmod          kmod
cpio            cpio
ansible-playbook ansible-core
ansible-lint    ansible-lint
sshd            openssh-server
ssh             openssh-client
etcd            etcd-server
etcdctl         etcd-client
/usr/lib/python3/dist-packages/apt python3-apt
gcc             gcc
'
fi
if [ "${1-}" = e2e ] && [ "$(id -u)" -eq 0 ]; then
    tools+='
chromium        chromium
lintian         lintian
rpmlint         rpmlint
'
fi
# ordinary users often have no sbin in their PATH
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

packages=() commands=()
while read -r command package; do
    if [ -n "$command" ] && ! command -v "$command" >/dev/null && [ ! -d "$command" ]; then
        commands+=("$command")
        case " ${packages[*]-} " in *" $package "*) ;; *) packages+=("$package") ;; esac
    fi
done <<<"$tools"
# The race detector is linked with the C library.
if [ -n "${1-}" ] && [ "$(id -u)" -eq 0 ] && [ ! -e /usr/include/stdlib.h ]; then
    commands+=("C headers") packages+=(libc6-dev)
fi
# The Go module proxy speaks TLS.
if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ -e /etc/debian_version ]; then
    commands+=("TLS roots") packages+=(ca-certificates)
fi

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: ${commands[*]} (on Debian, as root: apt-get install ${packages[*]})" >&2
        exit 2
    fi
    echo "installing with apt: ${packages[*]} (for: ${commands[*]})"
    export DEBIAN_FRONTEND=noninteractive
    # Only the programs are wanted: no etcd, sshd or prometheus is to run on this machine for that.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
fi

debs=$(dirname "$0")/../bin/debs
if [ "${1-}" = e2e ] && [ "$(id -u)" -eq 0 ] && [ ! -d "$debs" ]; then
    echo "fetching with apt into bin/debs, installing nothing: network-manager dnf"
    apt-get -qq update
    for package in network-manager dnf; do
        mkdir -p "$debs.new/$package/partial"
        apt-get -qq install -y --no-install-recommends --download-only -o Dir::Cache::archives="$(realpath "$debs.new/$package")" \
            "$package" </dev/null >/dev/null
        rm -rf "$debs.new/$package"/{partial,lock}
    done
    mv "$debs.new" "$debs"
fi

# Go 1.21 and later fetch the toolchain that go.mod asks for; Debian 12's own 1.19 cannot.
if ! command -v go >/dev/null; then
    echo "missing: go, 1.21 or later (https://go.dev/dl/)" >&2
    exit 2
fi
case $(go env GOVERSION) in
go1.? | go1.?.* | go1.1? | go1.1?.* | go1.20 | go1.20.*)
    echo "too old: $(go version); 1.21 or later is needed (https://go.dev/dl/)" >&2
    exit 2
    ;;
esac

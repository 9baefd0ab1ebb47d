#!/bin/sh
# dpkg says remove, rpm how many versions stay; at an upgrade podnetd goes on.
set -e
case "$1" in
remove | 0)
    systemctl --no-reload disable podnetd.service 2>/dev/null || true # there may be no systemd
    if [ -d /run/systemd/system ]; then
        systemctl stop podnetd.service
    fi
    if [ -e /var/lib/podnet/last-good.yaml ]; then
        echo "podnet: pods keep their network, which nothing heals any more (podnetctl teardown would have removed it)"
    fi
    ;;
esac

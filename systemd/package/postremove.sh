#!/bin/sh
# A purge takes podnet's own memory, and leaves what is the operator's (the topology) and the pods' (leases, network).
set -e
if [ "$1" = purge ]; then
    rm -rf /var/lib/podnet
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi

#!/bin/sh
# Nothing is enabled and nothing starts at an installation. An upgrade takes up the new podnetd where one runs; the
# network stays as it is meanwhile.
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart podnetd.service
fi

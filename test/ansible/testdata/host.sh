#!/bin/sh
# Turns the network namespace it runs in into a host: DIR/root is all of this machine's file system with changes of its own, in
# which sshd answers on port 22. Usage: host.sh DIR. Wants DIR to hold
# systemctl, hostkey and authorized_keys.
set -eu
dir=$1
mkdir -p "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
for shared in proc dev; do mount --rbind "/$shared" "$dir/root/$shared"; done
mount -t tmpfs -o mode=755 run "$dir/root/run"
mount -t tmpfs -o mode=1777 tmp "$dir/root/tmp"
mkdir "$dir/root/run/sshd"
# Nothing that podnet would leave is there, whatever this machine itself has.
for path in etc/podnet etc/default/podnetd etc/cni usr/bin/podnetd usr/bin/podnetctl usr/lib/podnet var/lib/podnet opt/cni usr/lib/cni \
    etc/containerd; do
    rm -rf "$dir/root/${path:?}"
done
install -m 755 "$dir/systemctl" "$dir/root/usr/bin/systemctl"
mkdir "$dir/root/run/keys"
install -m 600 "$dir/hostkey" "$dir/authorized_keys" "$dir/root/run/keys/"
exec chroot "$dir/root" /usr/sbin/sshd -D -e -f /dev/null -h /run/keys/hostkey -o AuthorizedKeysFile=/run/keys/authorized_keys \
    -o PermitRootLogin=prohibit-password -o PasswordAuthentication=no -o UsePAM=no -o StrictModes=no -o PidFile=none

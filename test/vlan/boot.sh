#!/bin/bash
# Boots Debian's own kernel, whose bridge filters VLANs, in QEMU under software emulation, with the plugins and guest.sh as
# its only programs besides the tools, and ends as guest.sh does.
#   boot.sh PLUGINS CACHE    PLUGINS: directory of static plugins; CACHE: where the kernel's package is unpacked
set -euo pipefail
plugins=$(realpath "$1") cache=$2 here=$(dirname "$(realpath "$0")")
mkdir -p "$cache"
if [ ! -d "$cache/kernel/boot" ]; then
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
  new=$(mktemp -d "$cache/new.XXXXXX")
  (cd "$new" && apt-get download -q "$package" >/dev/null && dpkg -x linux-image-*.deb kernel)
  rm -rf "$cache/kernel"
  mv "$new/kernel" "$cache/kernel"
  rm -r "$new"
fi
root=$(mktemp -d)
trap 'rm -rf "$root" "$root.gz"' EXIT
mkdir -p "$root"/{bin,sbin,proc,sys,dev,run,tmp,lib/modules}

modules=$(basename "$cache"/kernel/lib/modules/*)
from=$cache/kernel/lib/modules/$modules to=$root/lib/modules/$modules
for directory in kernel/net/bridge kernel/net/802 kernel/net/llc kernel/net/8021q kernel/lib kernel/drivers/net/veth.ko; do
  if [ -e "$from/$directory" ]; then
    mkdir -p "$to/$(dirname "$directory")"
    cp -r "$from/$directory" "$to/$directory"
  fi
done
cp "$from"/modules.{order,builtin,builtin.modinfo} "$to"
depmod -b "$root" "$modules"

cp /bin/busybox "$root/bin/"
for applet in $(/bin/busybox --list); do
  [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
put() { # a program with its libraries, in place of the applet of its name
  local file
  file=$(command -v "$1")
  rm -f "$root/bin/$1" "$root/sbin/$1"
  cp -L "$file" "$root/sbin/$1"
  ldd "$file" | awk '/=>/ {print $3} /ld-linux/ {print $1}' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -Ln "$library" "$root$library"
  done
}
for program in ip bridge modprobe nsenter ping dash; do put "$program"; done
ln -sf ../sbin/dash "$root/bin/sh" # busybox's shell would run its own ip
cp -r "$plugins" "$root/cni"
cp "$here/guest.sh" "$root/guest.sh"
cat >"$root/init" <<'INIT'
#!/bin/sh
export PATH=/sbin:/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev; mount -t tmpfs t /run; mount -t tmpfs t /tmp
for m in bridge veth 8021q; do modprobe $m || echo "no module $m"; done
ip link set lo up
sh /guest.sh
echo "exit status: $?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$root.gz"
out=$(timeout 300 qemu-system-x86_64 -accel tcg -cpu max -m 512 -smp 2 -nographic -no-reboot -nic none \
  -kernel "$cache"/kernel/boot/vmlinuz-* -initrd "$root.gz" -append "console=ttyS0 quiet panic=-1" </dev/null 2>&1 |
  sed 's/\x1b[^a-zA-Z]*[a-zA-Z]//g; s/\r//') || true
printf '%s\n' "$out"
grep -q '^exit status: 0' <<<"$out"

#!/bin/bash
# Makes bin/package/podnet*.deb and .rpm of what is in bin/. Called by make package with PODNET_VERSION as git describes
# it and NFPM as the program to run. The same source gives the same bytes: every date is SOURCE_DATE_EPOCH, by default
# that of the last commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=bin/package
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
PODNET_ARCH=$(go env GOARCH)
# What both packagers take: digits first, no dash, and what comes before a release sorts before it.
PODNET_VERSION=$(sed -E 's/^v([0-9])/\1/; s/^([^0-9]|[0-9a-f]{7,})/0~\1/; s/-(alpha|beta|rc)/~\1/; s/-/./g' <<<"${PODNET_VERSION:?}")
export SOURCE_DATE_EPOCH PODNET_ARCH PODNET_VERSION
umask 022

rm -rf "$out"
mkdir -p "$out"/man/man{5,8} "$out"/completion
go run -tags manual ./cmd/podnetctl manual "$out/man/man8"
go run -tags manual ./cmd/podnetd "$out/man/man8"
go run github.com/cpuguy83/go-md2man/v2 -in systemd/package/podnet-topology.5.md -out "$out/man/man5/podnet-topology.5"
gzip -9n "$out"/man/man*/*
for shell in bash zsh fish; do
    bin/podnetctl completion "$shell" >"$out/completion/podnetctl.$shell"
done
# Debian's changelog: the newest commits. The whole story is in the repository.
{
    printf 'podnet (%s-1) unstable; urgency=medium\n\n' "$PODNET_VERSION"
    git log -20 --format='  * %s' | fold -s -w 76 | sed 's/^\([^ ]\)/    \1/; s/ *$//'
    printf '\n -- The podnet authors <podnet@localhost>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$out/changelog.gz"
for packager in deb rpm; do
    "$NFPM" package --config systemd/package/nfpm.yaml --packager "$packager" --target "$out/" >/dev/null
done
ls "$out"/*.deb "$out"/*.rpm

#!/bin/sh
# Builds the test guest's kernel and initramfs from Debian packages: build-guest.sh OUTDIR
# Needs gcc, libc6-dev, cpio and busybox-static, and a machine whose apt knows linux-image-cloud-amd64.
# Nothing is installed. Results are kept under ${XDG_CACHE_HOME:-$HOME/.cache}/godwit/guest, so only the first run takes time.
# GODWIT_GUEST_REFRESH=1 fetches the kernel again.
set -eu

fail() { echo "build-guest: $*" >&2; exit 1; }

[ $# -eq 1 ] || fail "usage: build-guest.sh OUTDIR"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/godwit/guest
mkdir -p "$cache"

# One at a time: tests of several programs may ask at once.
exec 9>"$cache/lock"
flock 9

busybox=
for path in /bin/busybox /usr/bin/busybox; do [ -x "$path" ] && busybox=$path && break; done
[ -n "$busybox" ] || fail "no busybox: install busybox-static"

# Loaded in this order: each one needs symbols of those before it. One that the kernel has built in is left out.
modules='virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console
failover net_failover virtio_net evdev button
scsi_common scsi_mod sd_mod virtio_scsi cdrom sr_mod libata ata_piix'

# Puts vmlinuz and the modules into $cache/kernel.
fetch_kernel() {
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
    [ -n "$package" ] || fail "apt knows no linux-image-cloud-amd64: run 'apt-get update' (amd64 Debian only)"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "build-guest: fetching $package" >&2
    (cd "$work" && apt-get download -q "$package" >apt.log 2>&1) || { cat "$work/apt.log" >&2; fail "apt-get download $package failed"; }
    dpkg-deb -x "$work"/linux-image-*.deb "$work/tree"
    mkdir "$work/kernel" "$work/kernel/modules"
    cp "$work"/tree/boot/vmlinuz-* "$work/kernel/vmlinuz"
    echo "$package" > "$work/kernel/package"
    : > "$work/kernel/modules/order"
    for module in $modules; do
        file=$(find "$work/tree" -name "$module.ko*" | head -n 1)
        [ -n "$file" ] || continue
        case $file in
            *.xz) "$busybox" xzcat "$file" > "$work/kernel/modules/$module.ko" ;;
            *.ko) cp "$file" "$work/kernel/modules/" ;;
            *) fail "$file: unknown compression" ;;
        esac
        echo "$module" >> "$work/kernel/modules/order"
    done
    echo "$modules" > "$work/kernel/wanted"
    rm -rf "$cache/kernel"
    mv "$work/kernel" "$cache/kernel"
    rm -rf "$work"
    trap - EXIT
}

if [ ! -f "$cache/kernel/package" ] || [ "$(cat "$cache/kernel/wanted" 2>/dev/null)" != "$modules" ] || [ "${GODWIT_GUEST_REFRESH:-0}" = 1 ]; then fetch_kernel; fi

hash=$(cat "$here"/*.c "$here"/*.h "$0" "$cache/kernel/package" "$cache/kernel/modules/order" "$busybox" | sha256sum | cut -c 1-16)
if [ ! -f "$cache/$hash.img" ]; then
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/proc" "$work/root/sys" "$work/root/tmp"
    gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -pthread -o "$work/root/init" "$here"/*.c
    strip "$work/root/init"
    cp "$busybox" "$work/root/bin/busybox"
    for tool in sh cat dd df echo ls mount ps sleep sync umount; do ln -s busybox "$work/root/bin/$tool"; done
    cp -r "$cache/kernel/modules" "$work/root/modules"
    # The same input gives the same bytes: fixed times and order.
    find "$work/root" -exec touch -h -d @0 {} +
    (cd "$work/root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) | gzip -9n > "$work/initrd.img"
    rm -f "$cache"/*.img
    mv "$work/initrd.img" "$cache/$hash.img"
    rm -rf "$work"
    trap - EXIT
fi

# By way of a new name: a running QEMU may still be reading the old file.
for pair in "kernel/vmlinuz vmlinuz" "$hash.img initrd.img"; do
    cmp -s "$cache/${pair% *}" "$out/${pair#* }" && continue
    cp "$cache/${pair% *}" "$out/${pair#* }.$$"
    mv "$out/${pair#* }.$$" "$out/${pair#* }"
done

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --rootfs DIR: a small root of its own.
. "$(dirname "$0")/common.bash"
bb=$(command -v busybox) || { echo "no busybox here"; exit 1; }
if ldd "$bb" >/dev/null 2>&1; then static=; else static=1; fi
root=$tmp/root
mkdir -p "$root/bin" "$root/etc"
cp "$bb" "$root/bin/busybox"
[[ $static ]] || for lib in $(ldd "$bb" | grep -o '/[^ ]*'); do
	mkdir -p "$root/$(dirname "$lib")"
	cp "$lib" "$root/$lib"
done
for a in sh ls cat echo mkdir rm id pwd touch mount test; do ln -s busybox "$root/bin/$a"; done
echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
run 0 'bin*dev*etc*proc*sys*' --rootfs "$root" -- ls /
run 0 hi --rootfs "$root" -- sh -c 'echo hi >/etc/x; cat /etc/x'
[[ ! -e $root/etc/x ]] || fail "a write reached the lower tree"
run 0 gone --rootfs "$root" -- sh -c 'rm /etc/passwd; test -e /etc/passwd || echo gone'
[[ -e $root/etc/passwd ]] || fail "an unlink reached the lower tree"
run 0 / --rootfs "$root" -- pwd
run 127 '*command not found*' --rootfs "$root" -- bash
run 127 '*No such file*' --rootfs "$root" -- /usr/bin/python3
ln -s / "$root/outside"
ln -s ../../../../../../../../etc/hostname "$root/up"
run 1 '*' --rootfs "$root" -- cat /up
run 0 'bin' --rootfs "$root" -- sh -c 'cd /outside/../..; ls -d bin'
run 0 "$(cat /etc/hostname)" --rootfs "$root" --bind /etc/hostname:/etc/hostname:ro -- cat /etc/hostname
# An interpreter that is missing is named as such.
printf '#!/no/such/interpreter\n' >"$root/bin/script"; chmod 755 "$root/bin/script"
run 127 '*interpreter*' --rootfs "$root" -- /bin/script
[[ $(cd "$tmp" && "$BAILEY" run --rootfs root -- echo relative) = relative ]] || fail "a relative --rootfs"
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every tier of the jail runs programs; what the host forbids leads to the next tier, not to a failure.
. "$(dirname "$0")/common.bash"
user_bailey
[[ $(id -u) -eq 0 ]] || { echo "needs root to play other users"; exit 1; }
try() { # tier words...
	local tier=$1 out
	shift
	out=$(timeout 30 "$@" run --log info -- sh -c 'echo $(id -u) $(cat /etc/hostname) $(sh -c "exit 3"; echo $?)' 2>"$tmp/err")
	[[ $out = *" $(cat /etc/hostname) 3" ]] || fail "$*: \"$out\"; $(cat "$tmp/err")"
	grep -q "jail: tier $tier" "$tmp/err" || fail "$*: not tier $tier: $(cat "$tmp/err")"
}
try 1 "$userbailey"
try 2 env BAILEY_TIER=2 "$userbailey"
try 3 env BAILEY_TIER=3 "$userbailey"
try 2 "${user[@]}" "$userbailey"
try 3 env BAILEY_TIER=3 "${user[@]}" "$userbailey"
# a host without user namespaces
try 3 unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; echo 0 >/proc/sys/user/max_pid_namespaces; exec "$0" "$@"' "$userbailey"
# a masked /proc, as in containers: a new one is refused
try 3 unshare -m sh -c 'mount -t tmpfs none /proc/sys/kernel; exec "$@"' sh "${user[@]}" "$userbailey"
# no /proc/self/uid_map to write to: user namespaces without powers
try 3 unshare -m sh -c 'mount -t tmpfs none /proc/sys/kernel && mount --bind /dev/null /proc/meminfo; exec "$@"' sh "${user[@]}" "$userbailey"
# binds and files of the user in each
mkdir "$tmp/mine"; echo x >"$tmp/mine/f"; chown -R 12345:12345 "$tmp/mine"
for t in 2 3; do
	expect 0 x env BAILEY_TIER=$t "${user[@]}" "$userbailey" run --bind "$tmp/mine:/mnt" -- sh -c 'cat /mnt/f; echo y >/mnt/g'
	[[ $(cat "$tmp/mine/g") = y ]] || fail "tier $t: a writable bind"
	[[ $(stat -c %u "$tmp/mine/g") = 12345 ]] || fail "tier $t: owner of a new file"
	rm -f "$tmp/mine/g"
	expect 0 x env BAILEY_TIER=$t "${user[@]}" "$userbailey" run --bind "$tmp/mine/f:/etc/hosts:ro" -- cat /etc/hosts
	expect 0 '12345 12345' env BAILEY_TIER=$t "${user[@]}" "$userbailey" run -- sh -c 'echo $(id -u) $(id -G)'
	expect 1 '*' env BAILEY_TIER=$t "${user[@]}" "$userbailey" run -- cat /etc/shadow
	expect 1 '*' env BAILEY_TIER=$t "${user[@]}" "$userbailey" run --user 0 -- cat /etc/shadow
	expect 137 '' env BAILEY_TIER=$t "${user[@]}" "$userbailey" run -- sh -c 'kill -9 $$'
done
finish

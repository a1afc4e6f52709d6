#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever is wrong is said in one line that begins with "bailey:", with status 125, 126 or 127.
. "$(dirname "$0")/common.bash"
line() {
	local want=$1 pattern=$2 out st
	shift 2
	out=$(timeout 30 "$BAILEY" "$@" 2>&1 >/dev/null </dev/null)
	st=$?
	[[ $st -eq $want ]] || fail "bailey $*: status $st instead of $want; $out"
	[[ $(wc -l <<<"$out") -eq 1 ]] || fail "bailey $*: more than a line: $out"
	# shellcheck disable=SC2053
	[[ $out == "bailey: "$pattern ]] || fail "bailey $*: \"$out\" instead of \"bailey: $pattern\""
}
line 125 '*nothing*' nothing
line 125 '*no command*' run
line 125 '*no command*' run --
line 125 '*empty*' run ''
line 125 '*--bogus*' run --bogus -- true
line 125 '*-x*' run -x -- true
line 125 '*--cwd*value*' run --cwd
line 125 '*--no-patch*' run --no-patch=1 -- true
line 125 '*--rootfs /no/such*' run --rootfs /no/such -- true
line 125 '*--rootfs /etc/passwd*' run --rootfs /etc/passwd -- true
line 125 '*--bind /no/such*' run --bind /no/such:/mnt -- true
line 125 '*--bind /etc/passwd:/usr*' run --bind /etc/passwd:/usr -- true
line 125 '*--bind*' run --bind /etc -- true
line 125 '*--bind*' run --bind /etc:relative -- true
line 125 '*--bind*odd*' run --bind /etc:/mnt:odd -- true
line 125 '*--cwd*absolute*' run --cwd rel -- true
line 125 '*--cwd /no/such*' run --cwd /no/such -- true
line 125 '*--cwd /etc/passwd*' run --cwd /etc/passwd -- true
for v in '' x 12x -1 99999999999999999999g; do line 125 '*not a size*' run --memory "$v" -- true; done
for v in '' 0 x 1x -1; do line 125 '*' run --pids "$v" -- true; done
for v in '' x 1: :1 1:x 1:2:3 -1 4294967295; do line 125 '*' run --user "$v" -- true; done
line 125 '*--log*' run --log loud -- true
line 125 '*--network*' run --network some -- true
line 125 '*--hostname*' run --hostname '' -- true
line 125 '*--hostname*' run --hostname "$(printf %70d 1)" -- true
line 125 '*--env*' run --env =x -- true
line 125 '*--env*' run --env '' -- true
line 125 '*--strace=/no/such/dir*' run --strace=/no/such/dir -- true
line 127 '*command not found*' run -- no-such-command
line 127 '*No such file*' run -- /no/such/command
line 127 '*' run -- /etc/passwd/x
line 126 '/etc/passwd: Permission denied' run -- /etc/passwd
line 126 '/etc: *' run -- /etc
printf 'not an ELF' >"$tmp/junk"; chmod 755 "$tmp/junk"
line 126 '*' run -- "$tmp/junk"
printf '\x7fELF' >"$tmp/short"; chmod 755 "$tmp/short"
line 126 '*' run -- "$tmp/short"
printf '#!/no/such/interp\n' >"$tmp/script"; chmod 755 "$tmp/script"
line 127 '*interpreter*' run -- "$tmp/script"
line 126 '*too long*' run -- "$(printf 'x%.0s' {1..300})"
finish

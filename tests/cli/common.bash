# SPDX-License-Identifier: Apache-2.0
# What the CLI tests share. A test prints why it fails and ends with 1.
set -u
: "${BAILEY:?the bailey command}"
tmp=$(mktemp -d /tmp/bailey-cli.XXXXXX)
chmod 755 "$tmp"
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() { echo "FAIL: $*"; failed=1; }
# expect STATUS OUTPUT-PATTERN WORDS...: runs the words; both streams together must match the (glob) pattern.
expect() {
	local want=$1 pattern=$2 out st
	shift 2
	out=$(timeout 30 "$@" 2>&1 </dev/null)
	st=$?
	[[ $st -eq $want ]] || fail "$*: status $st instead of $want; output: $out"
	# shellcheck disable=SC2053
	[[ $out == $pattern ]] || fail "$*: output \"$out\" instead of \"$pattern\""
}
run() { expect "$1" "$2" "$BAILEY" run "${@:3}"; }
# An ordinary user who can reach the program and $tmp.
user=(setpriv --reuid=12345 --regid=12345 --clear-groups)
user_bailey() {
	cp "$BAILEY" "$tmp/bailey"
	chmod 755 "$tmp/bailey"
	userbailey=$tmp/bailey
}
# The processes of sandboxes that were started by this test: they carry its mark in their environment, and stubs are found by parent.
finish() { exit $failed; }

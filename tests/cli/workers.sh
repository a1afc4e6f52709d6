#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Several workers: guest tests one by one, then several in one sandbox, with each new program on the next worker.
. "$(dirname "$0")/common.bash"
tests=$(dirname "$BAILEY")/tests/guest
[[ -x $tests/workers ]] || { echo "no guest tests beside $BAILEY"; exit 1; }
export BAILEY_NO=spread
for w in 2 4; do
	for t in workers process signal pipe_poll; do
		out=$(timeout 120 "$BAILEY" run --workers $w -- "$tests/$t" 2>&1 </dev/null) || fail "$w workers, $t: status $?: $(grep -v '^ok' <<<"$out")"
	done
done
# shellcheck disable=SC2016
out=$(timeout 240 "$BAILEY" run --workers 3 -- bash -c 'cd "$0" || exit 1; p=()
for t in file thread socket tcp ipc mm ptrace reap; do (./$t >"/tmp/$t.out" 2>&1 || { echo "$t: status $?"; grep -B3 "^not ok" "/tmp/$t.out"; exit 1; }) & p+=($!); done
r=0; for i in "${p[@]}"; do wait "$i" || r=1; done; exit $r' "$tests" 2>&1 </dev/null) || fail "several tests at once: $out"
finish

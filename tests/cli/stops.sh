#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 60
# Somebody on the host stops guest processes and lets them go on, at random moments: guests notice nothing.
. "$(dirname "$0")/common.bash"
for tier in 1 3; do
	BAILEY_TIER=$tier "$BAILEY" run -- /usr/bin/perl -e 'for (1 .. 3000) { my $p = fork // die "fork: $!"; exit 3 unless $p; waitpid($p, 0) == $p && $? == 0x300 or die "status $?" } print "ok\n"' \
		>"$tmp/out" 2>&1 & p=$!
	for i in {1..100}; do k=$(pgrep -P $p) && break; sleep 0.02; done
	while kill -0 $p 2>/dev/null; do
		for s in $(pgrep -P "$k"); do kill -STOP "$s" && kill -CONT "$s"; done 2>/dev/null
	done
	wait $p || fail "tier $tier: status $?"
	[[ $(<"$tmp/out") = ok ]] || fail "tier $tier: $(<"$tmp/out")"
done
finish

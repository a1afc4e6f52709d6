#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Most calls of a program come in by patched sites, and also when its image lies where the table for them usually is.
. "$(dirname "$0")/common.bash"
"$BAILEY" doctor | grep -q 'no patched call sites' && { echo "no FSGSBASE on this host"; exit 0; }
for p in patched patched_fixed; do
	out=$(timeout 60 "$BAILEY" run --log debug -- "$BUILD/tests/guest/$p" threads 2>&1) || fail "$p: $out"
	[[ $out =~ platform\ 0:\ ([0-9]+)\ events,\ ([0-9]+)\ patched ]] || { fail "$p: no counters: $out"; continue; }
	((BASH_REMATCH[2] > BASH_REMATCH[1] / 2)) || fail "$p: ${BASH_REMATCH[2]} of ${BASH_REMATCH[1]} events came in patched"
done
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A fork bomb against --pids: bounded, and gone with the sandbox.
set -u
out=$(timeout 60 "$BAILEY" run --pids 50 -- /bin/bash -c 'n=0; while [ $n -lt 200 ]; do sleep 30 & n=$((n+1)); done 2>&1; kill $(jobs -p) 2>/dev/null; exit 3' 2>&1)
st=$?
[[ $st -ne 124 && $st -ne 125 ]] || { echo "status $st: $out"; exit 1; }
grep -q 'Resource temporarily unavailable' <<<"$out" || { echo "no EAGAIN: $out"; exit 1; }
sleep 0.3
[[ $("$BAILEY" run -- /bin/echo alive) = alive ]]

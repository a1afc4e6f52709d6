#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --events, --calls, --cpus.
. "$(dirname "$0")/common.bash"
cat >"$tmp/check.py" <<'PY'
import json, sys
ev = [json.loads(l) for l in open(sys.argv[1])]
calls = len(sys.argv) > 2
def one(**want):
    got = [e for e in ev if all(e.get(k) == v for k, v in want.items())]
    assert len(got) == 1, (want, got, ev)
    return got[0]
start = one(event="start")
assert start["pid"] == 1 and start["ppid"] == 0 and start["argv"][:2] == ["sh", "-c"] and start["exe"].startswith("/"), start
assert ev[0] is start
true = one(event="exec", pid=2)
assert true["argv"] == ["/bin/echo", 'a "\\\x01\u00e9', ""], true
assert true["comm"] == "echo" and true["ppid"] == 1
one(event="clone", pid=1, child=2, thread=False)
one(event="exit", pid=2, status=0, last=True)
one(event="exit", pid=3, signal=15, last=True)
one(event="exit", pid=1, status=7, last=True)
assert ev.index(one(event="clone", child=2)) < ev.index(true) < ev.index(one(event="exit", pid=2))
assert [e["time"] for e in ev] == sorted(e["time"] for e in ev)
assert len({e["container"] for e in ev}) == 1
told = {e["call"] for e in ev if e["event"] in ("enter", "call")}
if calls:
    assert told == {"getppid", "write"}, told
    n = sum(e["event"] == "enter" and e["call"] == "write" for e in ev), sum(e["event"] == "call" and e["call"] == "write" for e in ev)
    assert n[0] == n[1] >= 1, n
    w = [e for e in ev if e["event"] == "call" and e["pid"] == 2 and e["call"] == "write"][0]
    assert w["nr"] == 1 and w["args"][0] == 1 and w["result"] == 8 and w["text"].startswith("write(1, "), w
else:
    assert not told, told
PY
prog='/bin/echo "$A" "" >/dev/null; sh -c "kill -TERM \$\$"; exit 7'
export A=$'a "\\\001\351'
run 7 '*' --events="$tmp/ev" -- sh -c "$prog"
python3 "$tmp/check.py" "$tmp/ev" || fail "--events"
run 7 '*' --events="$tmp/ev" --calls=getppid,write -- sh -c "$prog"
python3 "$tmp/check.py" "$tmp/ev" calls || fail "--events with --calls"
# Threads, and what does not exist.
"$BAILEY" run --events="$tmp/ev" -- /usr/bin/python3 -c 'import ctypes, threading
t = threading.Thread(target=ctypes.CDLL(None).syscall, args=(500,)); t.start(); t.join()'
grep -q '"event":"clone".*"thread":true' "$tmp/ev" || fail "the thread: $(<"$tmp/ev")"
[[ $(grep -c '"event":"exit"' "$tmp/ev") = 2 && $(grep -c '"event":"exit".*"last":true' "$tmp/ev") = 1 ]] || fail "ends of threads: $(<"$tmp/ev")"
grep -q '"event":"unimplemented".*"nr":500,' "$tmp/ev" || fail "the call that is not there: $(<"$tmp/ev")"
# --calls with --strace: these only, from the patched path too.
"$BAILEY" run --strace="$tmp/st" --calls=getppid -- /usr/bin/python3 -c 'import os
for i in range(100): os.getppid()'
[[ $(grep -c '\] getppid() = 0$' "$tmp/st") = 100 && $(wc -l <"$tmp/st") = 100 ]] || fail "--strace with --calls: $(head -5 "$tmp/st")"
run 125 '*no system call "nonsense"*' --calls=read,nonsense -- true
run 125 '*no system call ""*' --calls=read, -- true
run 125 '*--events=/nonexistent/x*' --events=/nonexistent/x -- true
# --cpus
run 0 $'1\n1\n0' --cpus=1 -- sh -c 'nproc; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online'
run 0 "$(nproc)" --cpus=4096 -- nproc
run 125 '*not a number*' --cpus=0 -- true
finish

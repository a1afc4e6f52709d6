# SPDX-License-Identifier: Apache-2.0
# Pipelines, here-documents, background jobs, traps, process substitution.
bash <<'END'
set -u
echo one two three | tr ' ' '\n' | sort | paste -sd, -
cat <<X | while read -r a b; do echo "$b-$a"; done
1 a
2 b
X
cat <<<"here string"
trap 'echo got USR1' USR1
kill -USR1 $$
trap 'echo leaving' EXIT
(sleep 0.05; exit 7) & p=$!
wait $p; echo "job: $?"
sleep 10 & p=$!; sleep .2; kill $p; wait $p 2>/dev/null; echo "killed job: $?"
for i in 1 2 3 4 5 6 7 8; do (exit $i) & done; wait; echo all done
diff <(printf 'a\nb\n') <(printf 'a\nc\n'); echo "diff: $?"
coproc { read -r l; echo "co $l"; }
echo word >&"${COPROC[1]}"; read -r x <&"${COPROC[0]}"; echo "$x"
exec 5<>f5; echo line >&5; exec 5>&-; cat f5
f() { local n=$1; ((n <= 1)) && { echo 1; return; }; echo $((n * $(f $((n - 1))))); }
f 6
echo abc > a; [[ -f a && ! -d a ]] && echo file
mkfifo p; (echo through fifo > p) & cat p; wait
set -o pipefail; false | true; echo "pipefail $?"
yes | head -1000 | wc -l
seq 100000 | tail -1
(ulimit -n 20; ulimit -n)
umask 077; touch m; stat -c %a m
printf '%s\n' {1..3}{a,b} | xargs -n2 echo
time_() { local s=$SECONDS; sleep 1; echo $((SECONDS - s >= 1)); }; time_
bash -c 'exit 42'; echo $?
(bash -c 'kill -9 $$'; echo $?) 2>/dev/null
nosuchcommand 2>/dev/null; echo $?
timeout 0.2 sleep 5; echo "timeout $?"
END

# SPDX-License-Identifier: Apache-2.0
dash -eu <<'END'
set -- a b c; for x; do printf '%s ' "$x"; done; echo "$#"
i=0; while [ $i -lt 500 ]; do i=$((i + 1)); done; echo $i
v=$(printf 'x%.0s' 1 2 3); echo "${v}${#v} ${v%x} ${nosuch:-default}"
cat <<X
here $((6 * 7)) $(echo sub)
X
(exit 3) || echo "st $?"
trap 'echo term; exit 5' TERM
(dash -c 'trap "echo in; exit 5" TERM; while :; do sleep .05; done' & p=$!; sleep .4; kill $p; wait $p || echo "wait $?")
printf 'l1\nl2\n' | while read -r l; do echo "<$l>"; done
for i in 1 2 3 4; do (sleep 0.0$i; echo $i > j$i) & done; wait; cat j1 j2 j3 j4
exec 3>f3; echo three >&3; exec 3>&-; cat f3
umask 027; : > m; ls -l m | cut -c1-10
case $(uname) in Linux) echo linux;; esac
ls /nosuch 2>/dev/null || echo "ls $?"
ulimit -n >/dev/null; times >/dev/null; echo done
kill -TERM $$
END
echo "dash $?"

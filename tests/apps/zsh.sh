# SPDX-License-Identifier: Apache-2.0
zsh -f <<'END'
a=(one two three); echo $#a $a[2] ${(j:,:)a} ${(U)a}
typeset -A h; h=(k1 v1 k2 v2); for k in ${(ok)h}; do echo $k=$h[$k]; done
mkdir -p d/e; touch d/x.c d/e/y.c d/e/z.h; print -l **/*.c; print -l d/**/*(.) | wc -l
echo =(echo sub) | grep -c /tmp/zsh; cat <(echo p1) <(echo p2); paste =(seq 2) <(seq 3 4)
zmodload zsh/datetime zsh/stat zsh/zselect zsh/system && (( EPOCHSECONDS > 1000000000 )) && echo time; zstat +size d/x.c
zselect -t 5; echo "zselect $?"
coproc cat; print -p through; read -p x; echo $x
{ sleep 0.1; exit 4 } & wait $!; echo "job $?"
setopt multios; echo both > m1 > m2; cat m1 m2
print -rn -- $(( 2 ** 40 )) $'\n'; printf '%08.3f\n' 3.14159
f() { local x=$1; (( x <= 1 )) && { REPLY=1; return }; f $((x - 1)); (( REPLY *= x )) }; f 10; echo $REPLY
TRAPUSR1() { echo usr1 }; kill -USR1 $$; sleep 0.05
zmodload zsh/net/tcp; ztcp -l 7399 && fd=$REPLY && { ztcp localhost 7399; c=$REPLY; ztcp -a $fd; s=$REPLY; echo hello >&$c; read -u $s l; echo "tcp $l"; ztcp -c }
exit 6
END
echo "zsh $?"

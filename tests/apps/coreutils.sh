# SPDX-License-Identifier: Apache-2.0
mkdir -p a/b/c; echo text > a/f; ln -s f a/l; ln a/f a/h
stat -c '%n %F %a %s %h' a/f a/l a/b
readlink a/l; realpath --relative-to=. a/l
cp -a a copy; find copy -printf '%P %y %s %n\n' | grep -v ' d ' | sort
mv copy moved; ls moved
chmod 4751 a/f; stat -c %a a/f; chmod u=rw,go= a/f; stat -c %A a/f
touch -d '2020-02-03 04:05:06.789 UTC' a/f; TZ=UTC stat -c %y a/f
dd if=/dev/zero of=z bs=1k count=300 2>/dev/null; stat -c '%s' z; truncate -s 100 z; wc -c z
head -c 100000 /dev/urandom > r; cp r r2; cmp r r2 && echo same
seq 1000 | shuf --random-source=r | sort -n | md5sum
split -b 30000 r part.; cat part.* | cmp - r && echo joined
df . >/dev/null && echo df; du -s a >/dev/null && echo du
id -u; uname -s; uname -m; nproc >/dev/null && echo nproc
env -i A=b env; printenv HOME >/dev/null; echo $?
tee t1 t2 < a/f; cat t1 t2
date -u -d @86400 +%F; test -e nosuch; echo $?
sync; mkfifo p && stat -c %F p; rm p
install -D -m 640 a/f x/y/z && stat -c %a x/y/z
comm -12 <(seq 5) <(seq 3 8); join <(echo 1 a) <(echo 1 b)
base64 <<<hello; sha256sum a/f; od -An -tx1 <<<AB; tac <(seq 3); nl <(seq 2); fold -w 3 <<<abcdef; expand <<<"	x" | od -c | head -1
rm -rf a moved x; rmdir nosuch 2>/dev/null; echo $?
ls -1 | sort | head -20
mktemp -u XXXX >/dev/null && echo mktemp
nice -n 5 nice; nohup true </dev/null 2>/dev/null; echo $?
chown 12:34 r 2>/dev/null && stat -c '%u %g' r
sleep 0.01 && echo slept
stty -g </dev/null 2>&1 | grep -c ioctl
true

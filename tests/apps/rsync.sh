# SPDX-License-Identifier: Apache-2.0
# timeout: 120
mkdir -p a/sub/deep; for i in $(seq 60); do seq $((i * 50)) > a/sub/f$i; done; ln -s sub/f1 a/link; ln a/sub/f2 a/hard; mkfifo a/fifo; chmod 750 a/sub; touch -d @1000000000 a/sub/f3; truncate -s 3M a/sparse; head -c 300000 /dev/urandom > a/rand
list() { (cd $1; find . -printf '%P %y %m %s %T@ %l %n\n' | grep -v ' d ' | sed 's/\.[0-9]* / /' | sort); }
rsync -aH a/ b/; echo $?; cmp <(list a) <(list b) && diff -r --no-dereference -x fifo a b && echo same
rsync -aHi a/ b/; echo "nothing to do $?"
echo change >> a/sub/f7; rm a/sub/f8; touch a/new; rsync -ai --delete a/ b/ | grep -v '^[.]d' | sort | sed 's/^\(.\)\(.\)[^ ]*/\1\2/'
printf x | dd of=a/rand bs=1 seek=150000 conv=notrunc 2>/dev/null; rsync -aI --no-whole-file --inplace --stats a/ b/ | grep -c 'Matched data: [1-9]'; cmp a/rand b/rand && echo delta
rsync -a --exclude='f*' --include='*/' a/ c/; find c | sort
rsync -aS a/sparse d; [ $(stat -c %b d) -lt 100 ] && echo sparse
rsync -az --checksum --numeric-ids --partial --temp-dir=/tmp a/sub/ e/; diff -r a/sub e && echo compressed
rsync -n -av a/ f/ >/dev/null; ls f 2>&1 | grep -c 'No such'
printf "use chroot = no\nport = 7397\naddress = 127.0.0.1\n[m]\npath = $PWD/a\nread only = no\nuid = $(id -u)\ngid = $(id -g)\n" > conf
rsync --daemon --no-detach --config=conf & p=$!
for i in $(seq 50); do rsync rsync://127.0.0.1:7397/ >/dev/null 2>&1 && break; sleep .1; done
rsync -a rsync://127.0.0.1:7397/m/sub/ g/; diff -r a/sub g && echo daemon; echo up > u; rsync -a u rsync://127.0.0.1:7397/m/; cat a/u
kill $p; wait $p; rsync /nosuch x 2>/dev/null; echo "st $?"

# SPDX-License-Identifier: Apache-2.0
# timeout: 120
mkdir src; for i in $(seq 50); do seq $i $((i * 20)) > src/f$i; done; mkdir src/sub; ln -s ../f1 src/sub/link; ln src/f2 src/sub/hard
find src -name 'f1*' | sort; find src -type l; find src -size +2k | wc -l; find src -name 'f[12]' -exec md5sum {} + | sort
find src -type f -links 2 | sort; find src -newer src/f1 -type d | sort; find src -perm -u+r -type f | wc -l
tar cf t.tar --sort=name --mtime=@0 --owner=0 --group=0 src; tar tf t.tar | wc -l; md5sum < t.tar
tar czf t.tgz src; mkdir x; tar xzf t.tgz -C x; diff -r src x/src && echo same
gzip -k9 t.tar; gzip -dc t.tar.gz | cmp - t.tar && echo gzip
xz -k -T1 t.tar; xz -dc t.tar.xz | cmp - t.tar && echo xz
tar cf - /usr/include/linux 2>/dev/null | tar tf - | wc -l
tar cJf t.txz src && tar xJf t.txz -C x && stat -c %h x/src/f2
find /usr/share/doc -maxdepth 1 | wc -l; find /usr/lib -name 'libc.so*' | sort | head -3
grep -rl "define EAGAIN" /usr/include/asm-generic; ls -d /usr/share/p* | md5sum
cpio --version >/dev/null 2>&1; find src | sort | xargs -P4 -n5 md5sum | sort | md5sum

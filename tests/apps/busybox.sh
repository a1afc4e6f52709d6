# SPDX-License-Identifier: Apache-2.0
# The static busybox as shell and tools.
/bin/busybox sh -e <<'END'
bb=/bin/busybox
$bb echo hello | $bb tr a-z A-Z
$bb seq 1 5 | $bb sort -rn | $bb head -2
$bb printf 'b\na\nc\n' > f; $bb sort f | $bb md5sum
$bb mkdir -p d/e; $bb touch d/e/x; $bb find d | $bb sort
$bb cp -r d d2; $bb ls -R d2; $bb rm -r d d2; $bb ls
( exit 3 ) || $bb echo "status $?"
x=$($bb cat f | $bb wc -l); $bb echo $x
for i in 1 2 3; do $bb true || $bb echo no; done
$bb sleep 0.05 & wait $!; $bb echo "waited $?"
$bb sh -c 'kill -TERM $$' || $bb echo "killed $?"
$bb tar cf t.tar f; $bb tar tf t.tar
$bb awk 'BEGIN { for (i = 0; i < 3; i++) print i * i }'
$bb sed 's/a/X/' f
END

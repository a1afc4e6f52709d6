#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --memory: whatever a guest fills, it is stopped near the bound.
. "$(dirname "$0")/common.bash"
hog='import sys, mmap
n = int(sys.argv[1]) << 20
m = mmap.mmap(-1, n, flags=(mmap.MAP_SHARED if sys.argv[2] == "shared" else mmap.MAP_PRIVATE) | mmap.MAP_ANONYMOUS)
for i in range(0, n, 4096): m[i] = 1
print("filled")'
run 0 filled --memory 200m -- /usr/bin/python3 -c "$hog" 50 private
run 0 filled --memory 200m -- /usr/bin/python3 -c "$hog" 50 shared
run 0 filled --memory 1g -- /usr/bin/python3 -c "$hog" 300 private
run 137 '*out of memory*' --memory 100m -- /usr/bin/python3 -c "$hog" 2000 private
run 137 '*out of memory*' --memory 100m -- /usr/bin/python3 -c "$hog" 2000 shared
run 0 '*out of memory*137*' --memory 100m -- sh -c '/usr/bin/python3 -c "$0" 2000 private; echo $?' "$hog"
run '137' '*out of memory*' --memory 100m -- sh -c 'exec dd if=/dev/zero of=/file bs=1M count=2000'
run '137' '*out of memory*' --memory 100m -- sh -c 'exec dd if=/dev/zero of=/dev/shm/file bs=1G count=4'
run '137' '*out of memory*' --memory 100m -- /usr/bin/python3 -c '
for i in range(2000):
    open("/tmp/f%d" % i, "wb").write(bytes(500000))'
# What fills the kernel's own heap counts too: here data in sockets.
run 137 '*out of memory*' --memory 40m -- /usr/bin/python3 -c '
import socket
keep = []
for i in range(400):
    a, b = socket.socketpair()
    a.setblocking(False)
    keep.append((a, b))
    try:
        while True: a.send(bytes(65536))
    except BlockingIOError: pass
print("filled")'
# Pages that forked processes share count once.
run 0 done --memory 200m -- /usr/bin/python3 -c '
import os, time
b = bytearray(80 << 20)
for i in range(5):
    if os.fork() == 0: time.sleep(0.5); os._exit(0)
for i in range(5): os.wait()
print("done")'
finish

# SPDX-License-Identifier: Apache-2.0
# timeout: 60
W=$PWD; mkdir l h; head -c 4096 /dev/zero | tr '\0' x > h/i.html; chmod -R 777 .
printf "daemon on; worker_processes 2; error_log $W/l/e; pid $W/l/pid; events {} http { access_log off; client_body_temp_path $W/l/c; proxy_temp_path $W/l/p; fastcgi_temp_path $W/l/f; uwsgi_temp_path $W/l/u; scgi_temp_path $W/l/s; server { listen 127.0.0.1:7392; root $W/h; } }" > n.conf
/usr/sbin/nginx -c $W/n.conf 2>/dev/null; echo "started $?"
/usr/bin/python3 - <<'P'
import socket, time
for i in range(100):
    try:
        socket.create_connection(("127.0.0.1", 7392)).close()
        break
    except OSError:
        time.sleep(.05)
total = 0
for i in range(5):
    s = socket.create_connection(("127.0.0.1", 7392))
    f = s.makefile("rb")
    for k in range(50):
        s.sendall(b"GET /i.html HTTP/1.1\r\nHost: x\r\n\r\n")
        n = 0
        while True:
            l = f.readline()
            if l.lower().startswith(b"content-length"): n = int(l.split(b":")[1])
            if l == b"\r\n": break
        total += len(f.read(n))
    s.close()
print(total)
P
kill $(cat l/pid); sleep .3; ls l | grep -c pid; true

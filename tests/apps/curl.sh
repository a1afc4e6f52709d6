# SPDX-License-Identifier: Apache-2.0
# timeout: 120
mkdir w; cd w; seq 200000 > big; echo small > s; mkdir dir; touch dir/f
/usr/bin/python3 -u - > ../log 2>&1 <<'P' &
import http.server, sys
class H(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        n = int(self.headers['Content-Length'] or 0); d = self.rfile.read(n)
        self.send_response(200); self.send_header('Content-Length', str(len(d))); self.end_headers(); self.wfile.write(d[::-1])
    do_PUT = do_POST
http.server.ThreadingHTTPServer(('127.0.0.1', 7395), H).serve_forever()
P
p=$!; cd ..; u=http://127.0.0.1:7395
curl -s --retry 30 --retry-connrefused --retry-delay 1 --retry-max-time 20 $u/s
curl -s $u/big | cmp - w/big && echo big
curl -s -o /dev/null -w '%{http_code} %{size_download} %{content_type}\n' $u/big -o /dev/null $u/s -o /dev/null $u/nosuch
curl -sI $u/s | tr -d '\r' | grep -i '^content-length\|^HTTP'
for i in $(seq 20); do curl -s $u/big -o out$i & done; wait $(jobs -p | grep -v "^$p$"); for i in $(seq 20); do cmp out$i w/big || echo "differs $i"; done; echo parallel
curl -s -Z --parallel-max 8 $(for i in $(seq 30); do echo "$u/s -o z$i"; done) 2>/dev/null; cat z* | sort | uniq -c
curl -s -d hello $u/; echo; seq 100000 | curl -s -H Expect: --data-binary @- $u/ | rev | tr -d '\n' | wc -c; curl -s -T w/big $u/up | wc -c
curl -s --max-time 1 http://127.0.0.1:7396/; echo "refused $?"; curl -s http://nosuch.invalid/; echo "name $?"; curl -s file://$PWD/w/s
curl -s --limit-rate 4M $u/big | wc -c; curl -sL $u/dir | grep -c 'href="f"'
curl -s -r 0-9 file://$PWD/w/big; curl -s --unix-socket nosuch http://x/; echo "unix $?"
kill $p; wait $p 2>/dev/null; grep -c ' 200 ' log

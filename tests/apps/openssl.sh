# SPDX-License-Identifier: Apache-2.0
# timeout: 120
exec 2>/dev/null
seq 20000 > d
for h in md5 sha1 sha256 sha512 blake2b512 sha3-256; do openssl dgst -$h d; done
for c in aes-128-cbc aes-256-gcm chacha20 aes-256-ctr; do
	openssl enc -$c -pbkdf2 -pass pass:x -in d -out e && openssl enc -d -$c -pbkdf2 -pass pass:x -in e | cmp - d && echo "$c"
done
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out r.key; openssl pkey -in r.key -pubout -out r.pub; echo "rsa $?"
openssl dgst -sha256 -sign r.key -out s d; openssl dgst -sha256 -verify r.pub -signature s d
openssl ecparam -genkey -name prime256v1 -out e.key; openssl req -x509 -new -key e.key -subj /CN=test -days 2 -out ca.pem; openssl x509 -in ca.pem -noout -subject
openssl req -new -newkey rsa:2048 -nodes -keyout l.key -subj /CN=localhost -out l.csr; openssl x509 -req -in l.csr -CA ca.pem -CAkey e.key -CAcreateserial -out l.pem; openssl verify -CAfile ca.pem l.pem
openssl rand -hex 16 | wc -c; openssl base64 <<< text; openssl prime 104729; openssl version | cut -d' ' -f1
openssl s_server -accept 7394 -cert l.pem -key l.key -www -quiet >/dev/null & p=$!
for i in $(seq 50); do echo | openssl s_client -connect localhost:7394 >/dev/null && break; sleep .1; done
for v in tls1_2 tls1_3; do printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect localhost:7394 -CAfile ca.pem -verify_return_error -$v -ign_eof | grep -a -o 'Verification: OK\|HTTP/1.0 200 ok\|Protocol  *: TLS.*' | sort -u; done
curl -s --cacert ca.pem https://localhost:7394/ | grep -c '<HTML>'
kill $p; wait $p; echo done

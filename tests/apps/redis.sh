# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# A server and its clients in one sandbox.
p=7391
redis-server --port $p --save "" --appendonly no --daemonize yes --pidfile $PWD/pid --logfile $PWD/log >/dev/null
for i in $(seq 100); do redis-cli -p $p ping 2>/dev/null && break; sleep .05; done
redis-cli -p $p set k v; redis-cli -p $p get k; redis-cli -p $p incrby n 41; redis-cli -p $p incr n
redis-benchmark -p $p -q -n 5000 -c 20 -t set,get,lpush | tr '\r' '\n' | grep -c 'requests per second'
redis-cli -p $p dbsize; redis-cli -p $p shutdown nosave; sleep .2; redis-cli -p $p ping >/dev/null 2>&1; echo "down $?"

# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# Two writers on one database, in rollback and in WAL mode.
for mode in delete wal; do
	rm -f t.db*
	sqlite3 t.db "pragma journal_mode=$mode; create table t(w integer, n integer); create index i on t(w, n);"
	w() { for k in $(seq 10); do { echo ".timeout 30000"; echo "begin immediate;"; for i in $(seq 20); do echo "insert into t values($1, $k * 100 + $i);"; done; echo "commit;"; } | sqlite3 t.db; done; }
	w 1 & w 2 & wait
	sqlite3 t.db "select w, count(*), sum(n) from t group by w; pragma integrity_check;"
done
sqlite3 t.db .dump | sqlite3 u.db && sqlite3 u.db 'select count(*) from t'

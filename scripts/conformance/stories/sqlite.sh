#!/usr/bin/env bash
# needs: sqlite3
# loose: \.db(-wal|-shm|-journal)?$
# A database under concurrent writers, with a rollback journal and with a log.
set -euo pipefail
for mode in delete truncate wal; do
	sqlite3 "$mode.db" "pragma journal_mode=$mode; create table t(writer integer, n integer, primary key(writer, n));"
	writers=()
	for writer in 1 2 3 4; do
		(
			for n in {1..40}; do
				echo "begin immediate; insert into t values($writer, $n); commit;"
			done | sqlite3 -cmd '.timeout 60000' "$mode.db"
		) &
		writers+=($!)
	done
	for writer in "${writers[@]}"; do wait "$writer"; done
	sqlite3 "$mode.db" 'pragma integrity_check; select writer, count(*), sum(n) from t group by writer;'
	sqlite3 "$mode.db" .dump | sort | sha256sum
done
# Killed in the middle of a transaction.
python3 - <<'PY'
import os, signal, sqlite3
for db in ("delete.db", "wal.db"):
    pid = os.fork()
    if pid == 0:
        c = sqlite3.connect(db, isolation_level=None)
        c.execute("pragma cache_size=2")
        c.execute("begin immediate")
        for n in range(2000):
            c.execute("insert into t values(9, ?)", (n,))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    c = sqlite3.connect(db)
    print(db, c.execute("pragma integrity_check").fetchall(), c.execute("select count(*) from t").fetchall())
    c.close()
PY
sqlite3 wal.db 'pragma wal_checkpoint(truncate); vacuum; pragma integrity_check;'
sqlite3 wal.db 'select count(*) from t;'
# The files that only an open database has are none of the results.
rm -f -- *.db-*
ls -- *.db

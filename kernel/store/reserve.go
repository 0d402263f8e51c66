package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserved is how many descriptors a store keeps for Badger: a commit may begin a
// new log of values and a new memtable, and write the old one out as a table.
// Badger does not come back from one of these that it could not open: without a
// memtable it ends the process.
const reserved = 6

// reserve are descriptors that are there when others have taken all.
type reserve struct {
	dir *os.File
	fds []int // guarded by Store.write
}

// lend gives the descriptors free if there are no others.
//
// Preconditions: Store.write is held.
func (r *reserve) lend() {
	if r.none() {
		r.drop()
	}
}

// restore takes back what was lent, as far as it is there.
//
// Preconditions: Store.write is held.
func (r *reserve) restore() {
	for len(r.fds) < reserved {
		fd, err := r.one()
		if err != nil {
			return
		}
		r.fds = append(r.fds, fd)
	}
}

func (r *reserve) drop() {
	for _, fd := range r.fds {
		_ = unix.Close(fd)
	}
	r.fds = nil
}

// none tells whether there is no descriptor left.
func (r *reserve) none() bool {
	fd, err := r.one()
	if err == nil {
		_ = unix.Close(fd)
	}
	return err != nil
}

func (r *reserve) one() (int, error) {
	return unix.FcntlInt(r.dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

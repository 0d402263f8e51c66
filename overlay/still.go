package overlay

import (
	"errors"

	"golang.org/x/sys/unix"
)

// stillTries is how often Still looks at the view as it is before it freezes it.
const stillTries = 4

// Still calls fn with a snapshot of the view as it is. When fn fails because a
// writer took away what it was looking at, it is called again, at last with a
// frozen snapshot: a freeze makes writers copy what they go on writing to, so it
// is not the first choice. fn must not keep the snapshot.
func (o *Overlay) Still(fn func(*Snapshot) error) error {
	var err error
	for range stillTries {
		if err = fn(o.Live()); !disturbed(err) {
			return err
		}
	}
	o.still.Lock()
	defer o.still.Unlock()
	s, ferr := o.freeze()
	if ferr != nil { // a commit is under way; it moves what fn looked at
		return errors.Join(err, ferr)
	}
	err = fn(s)
	return errors.Join(err, o.Thaw(s))
}

func disturbed(err error) bool {
	return errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT)
}

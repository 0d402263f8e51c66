package overlay

import (
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Readlink returns the target.
func (l *linkNode) Readlink() ([]byte, error) { return retry(l.o, l.readlink) }

func (l *linkNode) readlink() ([]byte, error) {
	o := l.o
	o.mu.RLock()
	_, x := o.rec(l.ino)
	if x != nil && x.Own&meta.OwnContent != 0 {
		target := x.Target
		o.mu.RUnlock()
		return []byte(target), nil
	}
	key := l.key
	o.mu.RUnlock()
	var st layer.Stat
	if err := l.statBase(key, &st); err != nil {
		return nil, err
	}
	at := l.loc.Load()
	up, err := o.dirfd(at.up)
	if err != nil {
		return nil, err
	}
	defer o.fds.put(up)
	target, err := layer.Readlink(up.fd, at.name)
	return []byte(target), stale(err)
}

package fs

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

const (
	// maxChanges bounds the queue; beyond it everything is invalidated.
	maxChanges = 4096
	// retryPause is how long the kernel gets to take in an answer whose node it
	// does not know yet.
	retryPause = 5 * time.Millisecond
	retries    = 3
)

// notifier tells the kernel what the tree published. The kernel may hold an
// inode's lock while it waits for an answer of ours and take the same lock for a
// notification, so that notifications come from one goroutine that no request
// waits for.
type notifier struct {
	s    *Server
	kick chan struct{} // capacity 1

	mu    sync.Mutex
	queue []tree.Change
	all   bool          // queue is void, everything changed
	sent  chan struct{} // closed when what is queued now has been sent; nil: nobody asked
}

func newNotifier(s *Server) *notifier {
	return &notifier{s: s, kick: make(chan struct{}, 1)}
}

// changed queues a change; it never blocks.
func (n *notifier) changed(c tree.Change) {
	n.s.face.changes.Add(1)
	n.mu.Lock()
	switch {
	case n.all:
	case c.Kind == tree.EverythingChanged, len(n.queue) >= maxChanges:
		n.all, n.queue = true, nil
	default:
		n.queue = append(n.queue, c)
	}
	n.mu.Unlock()
	n.wake()
}

func (n *notifier) take() (queue []tree.Change, all bool, sent chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	queue, all, sent = n.queue, n.all, n.sent
	n.queue, n.all, n.sent = nil, false, nil
	return queue, all, sent
}

// Settle returns when the kernel has been told of every change that the tree
// published before the call: nobody sees what was before any more. It must not
// be called from within a request. It returns ctx's error, and nil when the
// mount is gone.
func (s *Server) Settle(ctx context.Context) error {
	n := s.note
	n.mu.Lock()
	if n.sent == nil {
		n.sent = make(chan struct{})
	}
	sent := n.sent
	n.mu.Unlock()
	n.wake()
	select {
	case <-sent:
		return nil
	case <-s.ctx.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *notifier) wake() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// run sends until the mount is gone.
func (n *notifier) run() {
	for {
		select {
		case <-n.kick:
		case <-n.s.ctx.Done():
			return
		}
		queue, all, sent := n.take()
		if all {
			queue = n.everything()
		} else {
			n.renew(queue)
		}
		for try := 0; len(queue) > 0; try++ {
			queue = n.send(queue)
			if len(queue) == 0 || try == retries {
				break
			}
			select {
			case <-time.After(retryPause):
			case <-n.s.ctx.Done():
				return
			}
		}
		if sent != nil {
			close(sent)
		}
	}
}

// everything forgets all names, where the kernel can, and lists all nodes. On
// an older kernel no name was cached for longer than noEpochTTL.
func (n *notifier) everything() []tree.Change {
	if n.s.face.epoch {
		_ = n.write(-fuse.NOTIFY_INC_EPOCH, nil)
	}
	ids := append(n.s.face.table.ids(), fuse.FUSE_ROOT_ID)
	queue := make([]tree.Change, len(ids))
	for i, id := range ids {
		queue[i] = tree.Change{Kind: tree.ContentChanged, ID: id}
	}
	return queue
}

// send notifies of each change and returns those whose node the kernel did not
// know although we have handed it out: their answers are still on the way.
func (n *notifier) send(queue []tree.Change) (again []tree.Change) {
	for _, c := range queue {
		err := n.one(c)
		if errors.Is(err, unix.ENOENT) && c.Kind != tree.EntryChanged && n.s.face.table.get(c.ID) != nil {
			again = append(again, c)
		}
	}
	return again
}

func (n *notifier) one(c tree.Change) error {
	switch c.Kind {
	case tree.EntryChanged:
		if err := n.entry(c.ID, c.Name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		// The listing may be cached without the name.
		return n.inode(c.ID, 0)
	case tree.ContentChanged:
		return n.inode(c.ID, 0)
	case tree.AttrChanged:
		return n.inode(c.ID, -1)
	}
	return nil
}

// renew makes the kernel look every name up again when a file is another one than
// it knows, and it would not see that by itself. Where it cannot be told, no name
// was cached for longer than noEpochTTL.
func (n *notifier) renew(queue []tree.Change) {
	f := n.s.face
	if f.ledger == nil || !f.epoch {
		return
	}
	old := false
	for _, c := range queue {
		if node := f.table.get(c.ID); c.Kind == tree.ContentChanged && node != nil {
			old = f.ledger.outdated(node) || old
		}
	}
	if old {
		_ = n.write(-fuse.NOTIFY_INC_EPOCH, nil)
	}
}

// entry makes the kernel ask for a name of a directory again. Where it can, it
// keeps the old answer until then, so that somebody who stands in a directory of
// that name does not lose it.
func (n *notifier) entry(dir uint64, name string) error {
	if len(name) == 0 || len(name) > maxName {
		return unix.ENOENT
	}
	b := binary.NativeEndian.AppendUint64(nil, dir)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	b = binary.NativeEndian.AppendUint32(b, n.s.face.expire)
	b = append(b, name...)
	return n.write(-fuse.NOTIFY_INVAL_ENTRY, append(b, 0))
}

// inode forgets the attributes of a node and, with off 0, its pages.
func (n *notifier) inode(id uint64, off int64) error {
	b := binary.NativeEndian.AppendUint64(nil, id)
	b = binary.NativeEndian.AppendUint64(b, uint64(off))
	b = binary.NativeEndian.AppendUint64(b, 0)
	return n.write(-fuse.NOTIFY_INVAL_INODE, b)
}

func (n *notifier) write(code int32, body []byte) error {
	size := replyHeaderSize + len(body)
	msg := appendHeader(make([]byte, 0, size), size, code, 0)
	return n.s.writeDev(append(msg, body...))
}

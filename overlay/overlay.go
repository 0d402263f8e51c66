package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Config says what is overlaid and where the changes live.
type Config struct {
	Base string // absolute path of the directory that is viewed
	Dir  string // private directory of the changes; made when missing, 0700
	// Hide names slash paths relative to Base that no view shows and no plan
	// touches. .astrid/commit-* and .astrid/undo are hidden without being named.
	Hide []string
	// Pin copies a file of the base when the view first says anything of it, and one
	// in a directory that the view has moved when it is first read.
	Pin bool
	Log *slog.Logger     // nil: discarded
	Now func() time.Time // nil: time.Now
}

// Overlay is a stack of layers over a base, served as a tree.Tree.
type Overlay struct {
	cfg    Config
	base   int // O_PATH descriptor of Base
	baseSt layer.Stat
	dir    int                 // O_PATH descriptor of Dir
	data   int                 // O_PATH descriptor of Dir/data
	failed atomic.Bool         // what it shows cannot be read any more
	lent   bool                // those descriptors are another's
	hide   map[string][]string // last element -> paths

	// mu guards the namespace: the stack, every record, and of each node what
	// says so. See the package's lock order.
	mu      sync.RWMutex
	stack   []*meta.Layer // deepest first; the last is the top
	frozen  uint64        // data files of epochs up to this are not written to
	sealed  uint64        // nor those with lower numbers than this: checkpoints name them
	points  []Checkpoint  // by Seq
	lastSeq uint64        // of the checkpoints so far
	pasts   map[uint64]*pastView
	tx      meta.Tx
	doomed  []uint64             // data files to be removed when tx is committed
	aliases map[layer.Key]uint64 // base inodes with a number that is not their own
	nextIno uint64
	nextDat uint64
	birth   uint64
	folded  uint64
	// compactAt is the length at which the top's log is looked at again.
	compactAt int64

	hold      hold
	restoring atomic.Int32 // how many Restores are under way
	gate      sync.RWMutex // see fileNode.take
	still     sync.Mutex   // taken before everything else, while Still has the view frozen
	nodes     table
	// dataMade counts data files made; dataSynced is how many of them are sure to
	// have their names after a power cut.
	dataMade   atomic.Uint64
	dataSynced atomic.Uint64
	fds        fdCache
	root       *dirNode

	brake    atomic.Pointer[brake] // nil: none
	authors  authors
	watch    *watcher
	onChange atomic.Pointer[func(tree.Change)]
	changeMu sync.RWMutex
	onEdit   atomic.Pointer[func(path string)]

	closeOnce sync.Once
}

// Open replays the changes in cfg.Dir, or begins with none, over cfg.Base. Only
// one Overlay may have a Dir at a time: the caller holds a lock on it.
func Open(ctx context.Context, cfg Config) (*Overlay, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	o := &Overlay{cfg: cfg, base: -1, dir: -1, data: -1, aliases: map[layer.Key]uint64{}, hide: hideIndex(cfg.Hide)}
	o.nodes.init()
	o.authors.init()
	o.fds.init()
	if err := o.open(ctx); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

func hideIndex(paths []string) map[string][]string {
	m := map[string][]string{}
	for _, p := range paths {
		p = strings.Trim(path.Clean("/"+p), "/")
		if p != "" {
			m[path.Base(p)] = append(m[path.Base(p)], p)
		}
	}
	return m
}

func (o *Overlay) open(ctx context.Context) (err error) {
	if o.base, err = unix.Open(o.cfg.Base, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open base %s: %w", o.cfg.Base, err)
	}
	if err = layer.Statx(o.base, "", &o.baseSt); err != nil {
		return fmt.Errorf("stat base %s: %w", o.cfg.Base, err)
	}
	if err = o.openDir(); err != nil {
		return err
	}
	if err = o.loadStack(); err != nil {
		return err
	}
	if err = ctx.Err(); err != nil {
		return err
	}
	o.root = o.newRoot()
	o.watch, err = newWatcher(o)
	return err
}

func (o *Overlay) openDir() (err error) {
	if err = os.MkdirAll(path.Join(o.cfg.Dir, "data"), 0o700); err != nil {
		return fmt.Errorf("make directory of changes: %w", err)
	}
	if o.dir, err = unix.Open(o.cfg.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open %s: %w", o.cfg.Dir, err)
	}
	if o.data, err = layer.OpenDir(o.dir, "data"); err != nil {
		return fmt.Errorf("open %s/data: %w", o.cfg.Dir, err)
	}
	return nil
}

// loadStack replays the log, removes what a killed process left behind and
// drops files that had no name any more when it died.
func (o *Overlay) loadStack() (err error) {
	if o.stack, err = meta.LoadStack(o.dir, false); err != nil {
		return fmt.Errorf("replay changes in %s: %w", o.cfg.Dir, err)
	}
	if len(o.stack) == 0 {
		top, err := meta.Create(o.dir, 1, 0)
		if err != nil {
			return err
		}
		o.stack = []*meta.Layer{top}
		if err := errors.Join(top.Sync(), meta.SetHead(o.dir, 1)); err != nil {
			return err
		}
	}
	o.recount()
	if err := o.loadCheckpoints(); err != nil {
		return fmt.Errorf("read the checkpoints in %s: %w", o.cfg.Dir, err)
	}
	if err := o.removeGarbage(); err != nil {
		return fmt.Errorf("tidy %s: %w", o.cfg.Dir, err)
	}
	if err := o.dropOrphans(); err != nil {
		return err
	}
	if err := o.removeUnnamedData(); err != nil {
		return fmt.Errorf("tidy %s/data: %w", o.cfg.Dir, err)
	}
	return o.compactAtOpen()
}

// recount takes the counters and aliases from the stack.
func (o *Overlay) recount() {
	clear(o.aliases)
	o.frozen, o.sealed = 0, 0
	for i, l := range o.stack {
		o.nextIno, o.nextDat = max(o.nextIno, l.NextIno), max(o.nextDat, l.NextData)
		o.birth, o.folded, o.sealed = max(o.birth, l.Birth), max(o.folded, l.LastFold), max(o.sealed, l.Sealed)
		for k, ino := range l.Aliases {
			o.aliases[k] = ino
		}
		if i < len(o.stack)-1 {
			o.frozen = l.Epoch
		}
	}
}

func (o *Overlay) top() *meta.Layer { return o.stack[len(o.stack)-1] }

// Root returns the root directory of the view.
func (o *Overlay) Root() tree.Dir { return o.root }

// Statfs describes the disk that holds the changes.
func (o *Overlay) Statfs(s *tree.Statfs) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(o.data, &st); err != nil {
		return err
	}
	*s = tree.Statfs{
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: uint32(st.Bsize), Frsize: uint32(st.Frsize), NameLen: unix.NAME_MAX,
	}
	return nil
}

// Syncfs makes everything acknowledged so far survive a power cut.
func (o *Overlay) Syncfs() error {
	fd, err := layer.Open(o.data, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Syncfs(fd)
}

// BaseFd returns an O_PATH descriptor of the base; it is valid until Close.
func (o *Overlay) BaseFd() int { return o.base }

// BasePath returns the path that Config gave for the base.
func (o *Overlay) BasePath() string { return o.cfg.Base }

// ReadOnly returns why the view refuses writes, or nil.
func (o *Overlay) ReadOnly() error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.top().Broken()
}

// Hidden tells whether the slash path, relative to the base, is one that no
// view shows and no plan touches.
func (o *Overlay) Hidden(rel string) bool {
	for p := rel; p != "" && p != "."; {
		dir, name := path.Split(p)
		dir = strings.TrimSuffix(dir, "/")
		if o.hidden(dir, name) {
			return true
		}
		p = dir
	}
	return false
}

// hidden is Hidden for one name; no directory above it may be hidden.
func (o *Overlay) hidden(dir, name string) bool {
	if dir == ".astrid" && (strings.HasPrefix(name, "commit-") || name == "undo") {
		return true
	}
	for _, p := range o.hide[name] {
		if path.Join(dir, name) == p {
			return true
		}
	}
	return false
}

// Usage returns the disk space that the changes take, in bytes.
func (o *Overlay) Usage() int64 {
	var sum int64
	add := func(dirfd int) {
		fd, err := layer.Open(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return
		}
		defer unix.Close(fd)
		_ = layer.Names(fd, func(name string, _ uint64, kind uint32) bool {
			var st layer.Stat
			if kind != unix.S_IFDIR && layer.Statx(dirfd, name, &st) == nil {
				sum += st.Blocks * 512
			}
			return true
		})
	}
	add(o.dir)
	add(o.data)
	return sum
}

// Close ends the watch, syncs the log and closes every descriptor. Nodes must
// not be used any more.
func (o *Overlay) Close() (err error) {
	o.closeOnce.Do(func() {
		if o.watch != nil {
			o.watch.close()
		}
		o.authors.close()
		o.fds.closeAll()
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, l := range o.stack {
			if !o.lent {
				err = errors.Join(err, l.Sync())
			}
		}
		meta.CloseStack(o.stack)
		for _, fd := range []int{o.data, o.dir, o.base} {
			if fd >= 0 && !o.lent {
				unix.Close(fd)
			}
		}
	})
	return err
}

// now is the time of a change, in ns since 1970.
func (o *Overlay) now() int64 { return o.cfg.Now().UnixNano() }

package kernel

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watching the capsules' files.
const (
	settles    = 500 * time.Millisecond // that nothing changes for so long means that it is done
	unsettled  = 5 * time.Second        // after that it is looked at all the same
	maxWatched = 1024                   // directories
)

// watchCapsules loads capsules again when their files have changed, until ctx
// ends.
func (k *Kernel) watchCapsules(ctx context.Context) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		k.config.Log.Warn("capsules are not loaded again by themselves: astrid capsule reload does it", "err", err)
		return
	}
	defer w.Close()
	k.follow(w)
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	due.Stop()
	var first time.Time // change that was not looked at yet
	for {
		select {
		case e := <-w.Events:
			if e.Op == fsnotify.Chmod || staged(e.Name) {
				continue
			}
		case err := <-w.Errors:
			k.config.Log.Warn("a change of the capsules' files may have been missed", "err", err)
		case <-due.C:
			first = time.Time{}
			k.hotReload(ctx)
			continue
		case <-k.loaded:
			if !k.follow(w) {
				continue
			} // what changed before it was watched is looked at once
		case <-ctx.Done():
			return
		}
		if first.IsZero() {
			first = time.Now()
		}
		due.Reset(min(settles, max(0, unsettled-time.Since(first))))
	}
}

// staged tells whether a path is of an installation or removal under way.
func staged(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return strings.HasPrefix(part, ".") && strings.HasSuffix(part, ".bak") })
}

// hotReload loads what has changed.
func (k *Kernel) hotReload(ctx context.Context) {
	p := plugged{k}
	k.installing.Lock()
	defer k.installing.Unlock()
	for _, text := range p.refreshLinks(ctx) {
		k.config.Log.Warn("capsule", "text", text)
	}
	did, err := k.reloadCapsules(context.WithoutCancel(ctx), false)
	switch {
	case err != nil:
		k.config.Log.Warn("capsules are not loaded again", "err", err)
	case did.Changed():
		k.config.Log.Info("capsules have changed", "loaded", did.Loaded, "ended", did.Ended)
	}
}

// follow watches the directories of all capsules, and of what they come from. It
// tells whether there are new ones.
func (k *Kernel) follow(w *fsnotify.Watcher) (more bool) {
	wanted := map[string]bool{}
	for _, root := range slices.Concat([]string{k.Home.Capsules()}, k.links(), k.origins()) {
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil //nolint:nilerr // what cannot be read is not watched
			case !e.IsDir():
				return nil
			case len(wanted) >= maxWatched || unwatched(e.Name()) || staged(path):
				return filepath.SkipDir
			}
			wanted[path] = true
			return nil
		})
	}
	for _, path := range w.WatchList() {
		if !wanted[path] {
			_ = w.Remove(path) // which may be gone
		}
		delete(wanted, path)
	}
	for path := range wanted {
		if err := w.Add(path); err != nil {
			k.config.Log.Debug("a directory is not watched", "dir", path, "err", err)
			continue
		}
		more = true
	}
	return more
}

// unwatched tells whether what changes in a directory is not looked at: it is
// large, or other programs'.
func unwatched(name string) bool {
	return slices.Contains([]string{"node_modules", "target", ".git"}, name)
}

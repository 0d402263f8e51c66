package overlay

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// comes hides what will be at a path of the base after the operation.
func (p *preserving) comes(at string, is layer.Fingerprint) error {
	up, there := p.before(path.Dir(at))
	if !there {
		return nil // the directory is new, too
	}
	dir, err := p.dir(up)
	if err != nil {
		return err
	}
	g, err := p.grave(at, is)
	if err != nil {
		return err
	}
	p.tx.Bury(dir, path.Base(at), g)
	return p.flush()
}

// grave is what is known of something that will be at a path.
func (p *preserving) grave(at string, is layer.Fingerprint) (*meta.Grave, error) {
	is.Key, is.Ctime = p.o.key(is.Key), 0
	if from, moved := p.before(at); moved && is.Mode&unix.S_IFMT == unix.S_IFDIR {
		at := p.o.locOf(&meta.Base{Path: from})
		return p.o.graveBelow(at)
	}
	g := &meta.Grave{Finger: is}
	if is.Mode&unix.S_IFMT != unix.S_IFDIR {
		return g, nil
	}
	for in, f := range p.f.Inside {
		if strings.HasPrefix(in, at+"/") {
			f.Key, f.Ctime = p.o.key(f.Key), 0
			g.Add(&meta.Grave{Finger: f})
		}
	}
	g.Order()
	return g, nil
}

// before is the path of now of what will be at a path of the base; false for what is
// not there now.
func (p *preserving) before(at string) (string, bool) {
	if at == "." || at == "" {
		return "", true
	}
	for q := at; q != "."; q = path.Dir(q) {
		if from, ok := p.cameFrom[q]; ok {
			return from + strings.TrimPrefix(at, q), true
		}
		if _, fresh := p.f.Comes[q]; fresh {
			return "", false
		}
	}
	return at, true
}

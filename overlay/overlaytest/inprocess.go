package overlaytest

import (
	"errors"
	"fmt"

	"astrid/overlay"
)

// InProcess drives an overlay in this process.
type InProcess struct {
	*Client
	Overlay *overlay.Overlay
	cfg     overlay.Config
}

// NewInProcess opens an overlay.
func NewInProcess(cfg overlay.Config) (*InProcess, error) {
	p := &InProcess{cfg: cfg}
	return p, p.open()
}

func (p *InProcess) open() (err error) {
	if p.Overlay, err = overlay.Open(background(), p.cfg); err != nil {
		return fmt.Errorf("open overlay: %w", err)
	}
	p.Client = NewClient(p.Overlay)
	return nil
}

// Close gives every reference back and closes the overlay.
func (p *InProcess) Close() error {
	return errors.Join(p.Client.Close(), p.Overlay.Close())
}

// Reopen closes and opens again.
func (p *InProcess) Reopen() error {
	if err := p.Close(); err != nil {
		return err
	}
	return p.open()
}

// Look reads a snapshot.
func Look(s *overlay.Snapshot) (Image, error) {
	m := Image{}
	return m, look(m, "", s.Root())
}

func look(m Image, path string, x overlay.Object) error {
	e, err := lookAt(x)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	m[path] = e
	if x.Kind() != kindDir {
		return nil
	}
	all, err := x.List()
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	for _, c := range all {
		found, ok, err := x.Lookup(c.Name)
		if err != nil || !ok || found.Ino != c.Ino {
			return fmt.Errorf("%q of %q is listed as %d and looked up as %d, %v, %v", c.Name, path, c.Ino, found.Ino, ok, err)
		}
		if err := look(m, Join(path, c.Name), c.Object); err != nil {
			return err
		}
	}
	return nil
}

func lookAt(x overlay.Object) (*Entry, error) {
	a, err := x.Attr()
	if err != nil {
		return nil, err
	}
	e := fromAttr(&a)
	switch x.Kind() {
	case kindLink:
		e.Target, err = x.Readlink()
		return e, err
	case kindFile:
		c, err := x.Open()
		if err != nil {
			return nil, err
		}
		defer c.Close()
		e.Data = make([]byte, c.Size())
		if n, err := c.ReadAt(e.Data, 0); n != len(e.Data) {
			return nil, fmt.Errorf("%d of %d bytes: %w", n, len(e.Data), err)
		}
	case kindDir:
	default:
		return e, nil
	}
	all, err := x.Xattrs()
	e.Xattrs = userXattrs(all)
	return e, err
}

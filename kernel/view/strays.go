package view

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"astrid/kernel/fault"
)

// rescueStrays moves away what programs wrote to the bare mount point while no
// view lay over it: under the view it would be lost from sight. The caller has
// seen to it that nothing is mounted there.
func (s *server) rescueStrays() error {
	bare := s.workspace()
	names, err := os.ReadDir(bare)
	if err != nil || len(names) == 0 {
		return err
	}
	to := filepath.Join(s.cfg.Home.Session(s.record.Name), "stray-"+time.Now().UTC().Format("20060102-150405"))
	if err := os.Mkdir(to, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.Wrap(fault.KindOf(err), err, "make a place for what was written to the bare mount point %s", bare)
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(bare, name.Name()), filepath.Join(to, name.Name())); err != nil {
			return fault.Wrap(fault.KindOf(err), err, "move %s away from the bare mount point", name.Name())
		}
	}
	s.strays = fmt.Sprintf("programs wrote to the mount point while no view was there; what they wrote is in %s", to)
	s.log.Warn("what was written to the bare mount point was moved away", "to", to, "entries", len(names))
	return nil
}

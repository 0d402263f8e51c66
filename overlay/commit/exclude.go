package commit

import (
	"bytes"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

const (
	excludeFile = ".git/info/exclude"
	excludeMax  = 1 << 20
	excludeLine = "/" + stageRoot + "/"
)

// exclude enters our directory in the workspace among what git does not look at,
// once. It keeps away from a file that the view has changed too.
func exclude(d *disk, s *selection) error {
	for _, it := range s.items {
		if it.c.BasePath == excludeFile || it.c.Path == excludeFile || change.Below(excludeFile, it.c.BasePath) && it.c.Op == change.Renamed {
			return nil
		}
	}
	st, err := d.stat(excludeFile)
	if err != nil || st == nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > excludeMax || st.Nlink > 1 {
		return err
	}
	fd, err := d.open(excludeFile, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	text, err := readAll(fd, excludeMax)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		if string(bytes.TrimSpace(line)) == excludeLine {
			return nil
		}
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, excludeLine+"\n"...)
	dir, err := d.at(change.Parent(excludeFile))
	if err != nil {
		return err
	}
	if err := layer.WriteFile(dir, change.Base(excludeFile), text, st.Mode&0o7777); err != nil {
		return err
	}
	return unix.Fchownat(dir, change.Base(excludeFile), int(st.UID), int(st.GID), unix.AT_SYMLINK_NOFOLLOW)
}

package capsule

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// Bounds of what counts as the content of a capsule.
const (
	MaxFiles = 10_000
	MaxBytes = 256 << 20
)

// SourceOf is the UUID under which a capsule publishes: version 8, the first
// bytes of the BLAKE3 hash of
//
//	"astrid capsule source 1\0" LP(id) content[32]
//
// where content is the hash of all that lies below the directory but .env.json
// and meta.json in it, which people and installers write: for each regular file, in
// the order of their paths, u64 LE length of the path, the path, u64 LE length, and
// the bytes. What is neither a file nor a directory, which no installed capsule has,
// counts with the length 2^64-1 and where it links to. LP is a little-endian u32
// length and the bytes. It is no UUID of
// version 5, since that is of SHA-1, for which two contents can be made that
// agree, and permissions will be pinned to it.
func SourceOf(dir string, id ID) (string, error) {
	content, err := contentHash(dir, "")
	if err != nil {
		return "", fault.Wrap(fault.KindOf(err), err, "read the capsule in %s", dir)
	}
	return sourceOf(id, content), nil
}

func sourceOf(id ID, content [32]byte) string {
	text := []byte("astrid capsule source 1\x00")
	text = binary.LittleEndian.AppendUint32(text, uint32(len(id)))
	text = append(append(text, id...), content[:]...)
	sum := blake3.Sum256(text)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// contentHash is the hash of all that lies below a directory, but for one file there.
func contentHash(dir, but string) (sum [32]byte, err error) {
	hash := blake3.New(32, nil)
	files, left := 0, int64(MaxBytes)
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == envName || name == metaName || name == but {
			return err
		}
		if files++; files > MaxFiles {
			return fault.New(fault.Limit, "it has more than %d files", MaxFiles)
		}
		if !e.Type().IsRegular() {
			return hashOther(hash, name, path)
		}
		n, err := hashFile(hash, name, path, left)
		left -= n
		return err
	})
	copy(sum[:], hash.Sum(nil))
	return sum, err
}

// hashOther adds what is no file.
func hashOther(hash io.Writer, name, path string) error {
	to, err := os.Readlink(path)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	text := binary.LittleEndian.AppendUint64(nil, uint64(len(name)))
	text = append(text, name...)
	text = binary.LittleEndian.AppendUint64(text, math.MaxUint64)
	text = binary.LittleEndian.AppendUint64(text, uint64(len(to)))
	_, err = hash.Write(append(text, to...))
	return err
}

// hashFile adds one file; n is its length.
func hashFile(hash io.Writer, name, path string, most int64) (n int64, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() > most {
		return 0, fault.New(fault.Limit, "it has more than %d bytes", MaxBytes)
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(name)))
	head = append(head, name...)
	head = binary.LittleEndian.AppendUint64(head, uint64(st.Size()))
	if _, err := hash.Write(head); err != nil {
		return 0, err
	}
	return io.Copy(hash, io.LimitReader(f, st.Size()))
}

// VerifyComponents compares the components that have a hash in the manifest with
// it, and sees that the others are there.
func (f *Found) VerifyComponents() error {
	for _, c := range f.Components {
		data, err := f.Component(c)
		if err != nil {
			return err
		}
		sum := blake3.Sum256(data)
		if want := strings.TrimPrefix(c.Hash, "blake3:"); want != "" && want != hex.EncodeToString(sum[:]) {
			return fault.New(fault.Denied, "the component %s of the capsule %s is not the one that its manifest names: its hash differs", c.File, f.Package.Name)
		}
	}
	return nil
}

// VerifyTexts checks that the files of commands, skills and context are there.
func (f *Found) VerifyTexts() error {
	var files []string
	for _, c := range f.Commands {
		files = append(files, c.File)
	}
	for _, c := range f.ContextFiles {
		files = append(files, c.File)
	}
	for _, s := range f.Skills {
		files = append(files, s.File)
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "read the capsule %s", f.Package.Name)
	}
	defer root.Close()
	for _, file := range files {
		if file == "" {
			continue
		}
		if _, err := root.Stat(file); err != nil {
			return fault.New(fault.Usage, "the manifest of the capsule %s names the file %q, and it is not there", f.Package.Name, file)
		}
	}
	return nil
}

// Component reads a component's file.
func (f *Found) Component(c Component) ([]byte, error) {
	file, err := os.OpenInRoot(f.Dir, c.File)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "read the component %s of the capsule %s", c.File, f.Package.Name)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxBytes))
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "read the component %s of the capsule %s", c.File, f.Package.Name)
	}
	return data, nil
}

package meta

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

const headName = "HEAD"

// Head reads which layer is the newest; 0 when there is none yet.
func Head(dirfd int) (uint64, error) {
	f, err := openFile(dirfd, headName, unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open HEAD: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 100))
	if err != nil {
		return 0, fmt.Errorf("read HEAD: %w", err)
	}
	text, ok := strings.CutPrefix(string(b), "astrid-head 1\n")
	epoch, perr := strconv.ParseUint(strings.TrimSuffix(text, "\n"), 10, 64)
	if !ok || perr != nil || epoch == 0 {
		return 0, fmt.Errorf("HEAD: %w", ErrFormat)
	}
	return epoch, nil
}

// SetHead makes epoch the newest layer, durably and in one step. Its log must
// have been synced.
func SetHead(dirfd int, epoch uint64) error {
	text := fmt.Sprintf("astrid-head 1\n%d\n", epoch)
	return layer.WriteFile(dirfd, headName, []byte(text), 0o600)
}

// LoadStack loads the layers from HEAD down and returns them deepest first;
// none when there is no HEAD.
func LoadStack(dirfd int, readOnly bool) (stack []*Layer, err error) {
	epoch, err := Head(dirfd)
	if err != nil {
		return nil, err
	}
	for epoch != 0 {
		l, err := Load(dirfd, epoch, readOnly)
		if err != nil {
			CloseStack(stack)
			return nil, err
		}
		stack = append(stack, l)
		if l.Below >= epoch {
			CloseStack(stack)
			return nil, fmt.Errorf("layer %d lies on layer %d: %w", epoch, l.Below, ErrFormat)
		}
		epoch = l.Below
	}
	slices.Reverse(stack)
	return stack, nil
}

// CloseStack closes every layer.
func CloseStack(stack []*Layer) {
	for _, l := range stack {
		l.Close()
	}
}

// Kept says which logs beside those of the stack are needed.
type Kept struct {
	Epochs []uint64 // of layers of which checkpoints are places
	Pre    uint64   // what operations from this one on replaced; 0: of none
	Temps  bool     // files that are being prepared, too: somebody may be at it
}

// RemoveGarbage removes logs that are neither of the stack nor kept, and files left
// over from an interrupted replacement.
func RemoveGarbage(dirfd int, stack []*Layer, kept Kept) error {
	keep := map[string]bool{headName: true}
	for _, l := range stack {
		keep[logName(l.Epoch)] = true
	}
	for _, epoch := range kept.Epochs {
		keep[logName(epoch)] = true
	}
	pres, err := Pres(dirfd)
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, n := range pres {
		keep[preName(n)] = kept.Pre != 0 && n >= kept.Pre
	}
	var garbage []string
	err = eachName(dirfd, func(name string) {
		if !keep[name] && (strings.HasSuffix(name, logSuffix) || strings.HasPrefix(name, headName) || !kept.Temps && strings.HasSuffix(name, layer.TempSuffix)) {
			garbage = append(garbage, name)
		}
	})
	for _, name := range garbage {
		err = errors.Join(err, unix.Unlinkat(dirfd, name, 0))
	}
	return err
}

// ReadBeside reads a file of at most limit bytes beside the logs.
func ReadBeside(dirfd int, name string, limit int64) ([]byte, error) {
	f, err := openFile(dirfd, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes: %w", name, limit, ErrFormat)
	}
	return b, err
}

package overlay

import (
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// readOnly refuses what would change a node.
type readOnly struct{}

func (readOnly) Setattr(*tree.Caller, *tree.SetAttr, *tree.Attr) error       { return unix.EROFS }
func (readOnly) Setxattr(*tree.Caller, string, []byte, int) error            { return unix.EROFS }
func (readOnly) Removexattr(*tree.Caller, string) error                      { return unix.EROFS }
func (readOnly) Fsync(bool) error                                            { return nil }
func (readOnly) Unlink(*tree.Caller, string) error                           { return unix.EROFS }
func (readOnly) Rmdir(*tree.Caller, string) error                            { return unix.EROFS }
func (readOnly) Fallocate(*tree.Caller, uint32, int64, int64) error          { return unix.EROFS }
func (readOnly) Rename(*tree.Caller, string, tree.Dir, string, uint32) error { return unix.EROFS }
func (readOnly) Mknod(*tree.Caller, string, uint32, uint32, *tree.Entry) (tree.Node, error) {
	return nil, unix.EROFS
}
func (readOnly) Mkdir(*tree.Caller, string, uint32, *tree.Entry) (tree.Node, error) {
	return nil, unix.EROFS
}
func (readOnly) Symlink(*tree.Caller, string, string, *tree.Entry) (tree.Node, error) {
	return nil, unix.EROFS
}
func (readOnly) Link(*tree.Caller, tree.Node, string, *tree.Entry) (tree.Node, error) {
	return nil, unix.EROFS
}
func (readOnly) Tmpfile(*tree.Caller, uint32, *tree.Entry) (tree.Node, error) {
	return nil, unix.EROFS
}
func (readOnly) WriteAt(*tree.Caller, []byte, int64, bool, bool) (int, error) {
	return 0, unix.EROFS
}
func (readOnly) CopyRange(*tree.Caller, int64, tree.File, int64, int64) (int64, error) {
	return 0, unix.EROFS
}

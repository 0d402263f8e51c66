package overlay

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// The two attributes that hold an access control list (acl(5)). The kernel
// checks them; what they say about the mode, and the mode about them, and what
// a new object inherits is the file system's to keep true.
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// The tags of an entry. USER and GROUP entries name an id.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

const (
	aclVersion   = 2
	aclHead      = 4
	aclEntrySize = 8
)

// acl is a list in the form of its attribute: a version, then for each entry
// tag, permission and id, in the order the kernel has put them in.
type acl []byte

// parseACL copies what v holds; EINVAL when that is no list.
func parseACL(v []byte) (acl, error) {
	if len(v) < aclHead || (len(v)-aclHead)%aclEntrySize != 0 || binary.LittleEndian.Uint32(v) != aclVersion {
		return nil, unix.EINVAL
	}
	a := append(acl{}, v...)
	for _, tag := range []uint16{aclUserObj, aclGroupObj, aclOther} {
		if a.find(tag) == nil {
			return nil, unix.EINVAL
		}
	}
	return a, nil
}

// find returns the permission field of the first entry with that tag, or nil.
func (a acl) find(tag uint16) []byte {
	for i := aclHead; i < len(a); i += aclEntrySize {
		if binary.LittleEndian.Uint16(a[i:]) == tag {
			return a[i+2 : i+4]
		}
	}
	return nil
}

// group is the entry that the group bits of a mode stand for.
func (a acl) group() []byte {
	if mask := a.find(aclMask); mask != nil {
		return mask
	}
	return a.find(aclGroupObj)
}

// mode returns the nine permission bits that the list stands for.
func (a acl) mode() uint32 {
	bits := func(p []byte) uint32 { return uint32(binary.LittleEndian.Uint16(p)) & 7 }
	return bits(a.find(aclUserObj))<<6 | bits(a.group())<<3 | bits(a.find(aclOther))
}

// chmod makes the list say what mode says.
func (a acl) chmod(mode uint32) {
	binary.LittleEndian.PutUint16(a.find(aclUserObj), uint16(mode>>6&7))
	binary.LittleEndian.PutUint16(a.group(), uint16(mode>>3&7))
	binary.LittleEndian.PutUint16(a.find(aclOther), uint16(mode&7))
}

// plain is whether a mode says as much as the list.
func (a acl) plain() bool { return len(a) == aclHead+3*aclEntrySize }

// setACL gives the draft a list: the mode follows it, and one that says no more
// than the mode is not kept.
func (d *draft) setACL(m map[string][]byte, value []byte) error {
	a, err := parseACL(value)
	if err != nil {
		return err
	}
	d.Mode = d.Mode&^0o777 | a.mode()
	d.Own |= meta.OwnPerm
	if a.plain() {
		delete(m, aclAccess)
		return nil
	}
	m[aclAccess] = a
	return nil
}

// inheritACL gives a new object what the default list of its directory says.
func inheritACL(x *meta.Rec, def acl) {
	a := append(acl{}, def...)
	a.chmod(a.mode() & x.Mode)
	x.Mode = x.Mode&^0o777 | a.mode()
	x.Xattrs = map[string][]byte{}
	if !a.plain() {
		x.Xattrs[aclAccess] = a
	}
	if x.IsDir() {
		x.Xattrs[aclDefault] = append(acl{}, def...)
	}
}

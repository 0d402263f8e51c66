// Package identity knows the users of a kernel: who they are, which accounts of
// which platforms are theirs, and the tokens with which frontends connect as
// them. The first user is root, the kernel's owner.
//
// # Contract
//
// Every change is one transaction and survives a power cut before it is
// acknowledged. Display names are unique: creating a second user of a name is an
// error of Kind Exists (in 0.2 the last one took the name away). Linking an
// account that is linked already re-points it. Names, platforms and accounts are
// valid UTF-8 of at most MaxName and MaxAccount bytes, without '/' and control
// characters.
//
// Of a token only the BLAKE3 hash is kept; the token itself is returned once, by
// MintToken. One that is past its time or revoked is as unknown as one that
// never was.
//
// # Format
//
// JSON values of the namespaces system:identity and system:tokens:
//
//	user/UUID                         {"id","public_key","display_name","created_at"}    base64 or null
//	link/PLATFORM/ACCOUNT             {"platform","platform_user_id","astrid_user_id","linked_at","method"}
//	name/DISPLAY_NAME                 UUID
//
//	token/HASH (64 hex digits)        {"id","user","session","label","created","expires"}
//
// The first three are those of 0.2.
//
// # Locks
//
// None: the store runs transactions one at a time.
package identity

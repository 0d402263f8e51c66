// Package store keeps what the kernel must remember: keys and values in
// namespaces, in one Badger directory. It is the only importer of Badger.
//
// # Contract
//
// A write is one transaction; Update puts several, of any spaces of the store,
// into one. Transactions run one at a time, so they never conflict, read what
// they wrote, and are seen by readers and watchers in one order. Readers work on
// a snapshot and wait for nobody but a Clear of more keys than fit into a
// transaction.
//
// What was acknowledged survives SIGKILL at any instant. In a space with
// SpaceOptions.Sync, and before a Store.Sync that returned nil, it survives a
// power cut too; writers that wait at the same time share one sync. Others may
// see a write before it is synced. After a commit or a sync that failed nothing
// is known about the disk: every later write fails with the first error until
// the store is opened anew. A sync needs no descriptor: while there are none left
// it syncs the whole file system instead. Where that cannot be (FUSE) the write
// is an error of Kind Limit, and the store goes on. Badger needs some to begin a
// new file: the store keeps a few for it.
//
// After a commit that failed all the same, of whatever cause, the store is not read
// either, and says so to Config.Failed: Badger, left without a memtable, would end
// the process at the next try. Opened anew it has all that was acknowledged.
//
// A quota counts the bytes of keys and values. Its counter is written in the
// transaction that changes it, so it is exact over crashes. A value past its
// time reads as absent at once; its bytes are counted until it is swept, which
// happens every minute, and in part before a write is refused for want of room. Time is
// Config.Now, never Badger's.
//
// A write that grows the store is refused while the disk has less than
// ReserveBytes free: Badger maps its files, and a full disk would kill the
// process. Deletes are let through.
//
// A watcher is told of every change in order, or how many it was too slow for;
// it never holds up a writer.
//
// # Format
//
// Badger holds these pairs. Integers are little-endian where not said otherwise.
//
//	ns NUL key            → 1 value | 2 expiry:i64 value     a value of namespace ns; expiry in ns since 1970
//	NUL "format"          → "astrid-store 1"
//	NUL "usage" NUL ns    → bytes:u64                        keys and values of ns; absent: 0
//	NUL "expiry" NUL t:u64 big-endian, ns NUL key → nothing  one for each expiring value
//	NUL "clearing"        → ns NUL prefix                    a Clear that the next Open finishes
//	NUL "restoring"       → nothing                          a Restore that the next Open undoes
//
// A backup is "ASTRIDB1", then for each value keylen:u32 vallen:u32 and the pair
// as above, then eight zero bytes, count:u64 and the BLAKE3 hash of all before.
//
// # Locks
//
//	Store.write          one transaction
//	  Store.snapshots    held by a large Clear; shared while a snapshot is made
//	  hub.mu             the watchers
//	    watcher.mu
//	flusher.turn         one sync of the files
//	  flusher.mu
//
// Store.mu is a leaf. Store.write is held while the function given to Update
// runs: it must be short and call nothing of the store but its Tx.
package store

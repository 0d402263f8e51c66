// Package audit is the log of what the kernel was asked and did: records that
// are chained by hash, signed by the runtime key and sealed by a head, in a
// store of their own. The vocabulary of actions is that of Astrid 0.2 and what
// the kernel does besides; the format is new.
//
// # Contract
//
// Append returns after the record survives a power cut; those who wait at the
// same time share one transaction and one sync. Note never waits: a note is
// written within noteDelay, after what was appended before it, and when the
// queue is full it is lost, which the log then says of itself with a count.
// After a write that failed every Append fails: what must be audited cannot be
// done any more (fail closed).
//
// A record that was changed, removed, moved or signed by another key, a head
// that was changed, and records missing at the end are found by Verify, and,
// where they came after the last checkpoint, by Open. What the log cannot show:
// that the whole directory was replaced by an older copy of itself, or by
// nothing. Keep the head elsewhere (Head) to find that.
//
// # Archives
//
// A log of more than Config.MaxBytes is cut: its oldest records are moved to a
// file in Config.Archives, FIRST-LAST.jsonl.gz, 0600, until half of that is left. The
// file has the lines that Export writes, compressed by gzip. It has its name, and
// both are synced, before one transaction writes a record of type archived and the
// base, from which the log in the store begins then; only after that records go. A
// crash in between leaves records twice: the next Open removes those before the
// base, and a file that the base does not know is taken, once it was found to hold
// what the log holds, and never written over.
//
// Verify reads archives too, unless it is asked for records after them, and names
// one that is missing or was changed. Read and Export have what is in the store.
// When no archive can be written the log grows, says so, and tries again.
//
// Texts are made valid UTF-8 and cut to MaxText bytes before they are signed.
//
// # Format
//
// Integers are little-endian; LP(x) is u32 length and the bytes. The namespace
// audit:records has the key %016x of seq for each record:
//
//	value     := body signature[64]
//	body      := seq:u64 time:i64 id[16] keyid[8] previous[32]
//	             LP(session) LP(principal) LP(door) pid:u32
//	             object object status:u8 LP(kind) LP(text)
//	object    := LP(type) n:u32 n×(LP(name) LP(value))     action, then authorization
//
// seq counts from 1; time is in ns since 1970; keyid are the first bytes of the
// public key; names are in strictly ascending order; a value is never empty;
// status is 1 for success and 0 for failure, of which kind and text tell more.
//
//	hash      := BLAKE3("astrid audit record 1\0" body)
//	signature := Ed25519("astrid audit signature 1\0" hash)
//
// previous is the hash of the record before, zero for the first. The signed
// bytes are stored and verified as they are, and only then parsed.
//
// audit:head has "key", the 32 bytes of the public key that the log belongs to,
// and "head", written in the transaction of every record:
//
//	head      := seq:u64 checkpoint:u64 time:i64 hash[32] signature[64]
//	signature := Ed25519("astrid audit head 1\0" and the 56 bytes before it)
//
// seq and hash are those of the last record, checkpoint is the seq of the last
// record of type checkpoint: one is written for every CheckpointEvery records,
// and by Close.
//
// and "base", once something was archived:
//
//	base      := seq:u64 hash[32] signature[64]            of the last archived record
//	signature := Ed25519("astrid audit base 1\0" and the 40 bytes before it)
//
// # Locks
//
// Log.mu is a leaf. Log.moving is held while archived records are removed, and
// shared by a Verify, which needs them to stay. One goroutine writes; another one
// archives, and asks the first to cut.
package audit

package audit

import (
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"time"

	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// Each hash and signature has a domain of its own.
const (
	domainRecord    = "astrid audit record 1\x00"
	domainSignature = "astrid audit signature 1\x00"
	domainHead      = "astrid audit head 1\x00"
	domainBase      = "astrid audit base 1\x00"
)

// Hash names a record; it covers all of its content.
type Hash [32]byte

func hashOf(body []byte) (h Hash) {
	sum := blake3.New(32, nil)
	sum.Write([]byte(domainRecord))
	sum.Write(body)
	sum.Sum(h[:0])
	return h
}

// sealed is a record as it is stored: body and signature.
type sealed []byte

func seal(key ed25519.PrivateKey, body []byte) (sealed, Hash) {
	hash := hashOf(body)
	signature := ed25519.Sign(key, append([]byte(domainSignature), hash[:]...))
	return append(slices.Clip(body), signature...), hash
}

// split returns the parts of s; ok is false when it is too short to have them.
func (s sealed) split() (body, signature []byte, ok bool) {
	n := len(s) - ed25519.SignatureSize
	if n < 0 {
		return nil, nil, false
	}
	return s[:n], s[n:], true
}

// verified tells whether signature is that of key over the record hash.
func verified(key ed25519.PublicKey, hash Hash, signature []byte) bool {
	return ed25519.Verify(key, append([]byte(domainSignature), hash[:]...), signature)
}

// keyID are the first bytes of a public key.
func keyID(key ed25519.PublicKey) [8]byte { return [8]byte(key[:8]) }

// Head says what the log ends with. It is signed.
type Head struct {
	Seq        uint64 // of the last record; 0: there is none
	Checkpoint uint64 // of the last checkpoint; 0: there is none
	Time       time.Time
	Hash       Hash // of the last record
	Signature  [ed25519.SignatureSize]byte
}

const headSize = 8 + 8 + 8 + 32

// signed are the bytes of h that are signed, without their domain.
func (h Head) signed() []byte {
	b := binary.LittleEndian.AppendUint64(nil, h.Seq)
	b = binary.LittleEndian.AppendUint64(b, h.Checkpoint)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Time.UnixNano()))
	return append(b, h.Hash[:]...)
}

// sign signs h and returns its stored form.
func (h *Head) sign(key ed25519.PrivateKey) []byte {
	b := h.signed()
	copy(h.Signature[:], ed25519.Sign(key, append([]byte(domainHead), b...)))
	return append(b, h.Signature[:]...)
}

// openHead verifies the stored form of a head and then parses it.
func openHead(key ed25519.PublicKey, raw []byte) (Head, error) {
	if len(raw) != headSize+ed25519.SignatureSize || !ed25519.Verify(key, append([]byte(domainHead), raw[:headSize]...), raw[headSize:]) {
		return Head{}, fault.New(fault.Internal, "the head of the audit log has no valid signature")
	}
	return Head{
		Seq:        binary.LittleEndian.Uint64(raw),
		Checkpoint: binary.LittleEndian.Uint64(raw[8:]),
		Time:       time.Unix(0, int64(binary.LittleEndian.Uint64(raw[16:]))).UTC(),
		Hash:       Hash(raw[24:headSize]),
		Signature:  [ed25519.SignatureSize]byte(raw[headSize:]),
	}, nil
}

// base is the last record that is archived: what the first one in the store
// follows. The zero base is that of a log of which nothing was archived.
type base struct {
	Seq  uint64
	Hash Hash
}

const baseSize = 8 + 32

// sign returns the stored form of b.
func (b base) sign(key ed25519.PrivateKey) []byte {
	raw := append(binary.LittleEndian.AppendUint64(nil, b.Seq), b.Hash[:]...)
	return append(raw, ed25519.Sign(key, append([]byte(domainBase), raw...))...)
}

// openBase verifies the stored form of a base and then parses it.
func openBase(key ed25519.PublicKey, raw []byte) (base, error) {
	if len(raw) != baseSize+ed25519.SignatureSize || !ed25519.Verify(key, append([]byte(domainBase), raw[:baseSize]...), raw[baseSize:]) {
		return base{}, fault.New(fault.Internal, "where the audit log begins has no valid signature")
	}
	return base{Seq: binary.LittleEndian.Uint64(raw), Hash: Hash(raw[8:baseSize])}, nil
}

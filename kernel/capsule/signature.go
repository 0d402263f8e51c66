package capsule

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// SignatureName is the file of a capsule's directory or archive with the signature of
// its publisher, one line of at most MaxSignature bytes:
//
//	ed25519:KEY SIGNATURE
//
// both in base64. What is signed is
//
//	"astrid capsule signature 1\0" LP(id) LP(version) content[32]
//
// where content is that of SourceOf without this file, and LP a little-endian u32
// length and the bytes.
const SignatureName = "Capsule.sig"

// Bounds of what is read of signatures and keys.
const (
	MaxSignature = 1 << 10
	maxKey       = 4 << 10
)

// Publisher is the public key of who signed a capsule, as "ed25519:" and base64;
// empty: nobody did.
type Publisher string

const keyPrefix = "ed25519:"

func publisherOf(key ed25519.PublicKey) Publisher {
	return Publisher(keyPrefix + base64.StdEncoding.EncodeToString(key))
}

// Publisher verifies the signature of a capsule, which need not have one. A
// signature that is broken or of something else is Denied.
func (f *Found) Publisher() (Publisher, error) {
	line, err := readSignature(filepath.Join(f.Dir, SignatureName))
	if err != nil || line == "" {
		return "", err
	}
	who, rest, _ := strings.Cut(line, " ")
	key, keyErr := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(who, keyPrefix))
	signature, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil || keyErr != nil || len(key) != ed25519.PublicKeySize || publisherOf(key) != Publisher(who) {
		return "", fault.New(fault.Denied, "%s of the capsule %s is no signature: astrid capsule sign writes one, and without the file the capsule is not signed", SignatureName, f.Package.Name)
	}
	text, err := f.signed()
	if err != nil {
		return "", err
	}
	if !ed25519.Verify(key, text, signature) {
		return "", fault.New(fault.Denied, "the capsule %s is not what its publisher has signed: its files, its id or its version are others; get it anew from its publisher", f.Package.Name)
	}
	return Publisher(who), nil
}

// readSignature reads the line of a signature; empty: there is no such file.
func readSignature(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fault.Wrap(fault.KindOf(err), err, "read the signature")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSignature+1))
	switch {
	case err != nil:
		return "", fault.Wrap(fault.KindOf(err), err, "read the signature")
	case len(data) > MaxSignature || len(data) == 0:
		return "", fault.New(fault.Denied, "%s has %d bytes or more, which is no signature", SignatureName, len(data))
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

// signed is what the publisher of a capsule signs.
func (f *Found) signed() ([]byte, error) {
	content, err := contentHash(f.Dir, SignatureName)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "read the capsule in %s", f.Dir)
	}
	text := []byte("astrid capsule signature 1\x00")
	for _, part := range []string{string(f.Package.Name), f.Package.Version} {
		text = binary.LittleEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	return append(text, content[:]...), nil
}

// Sign signs what would be installed from a directory with a key that NewKey made,
// or another ed25519 key in PKCS #8, and leaves the signature there. Of what it returns
// of the capsule, Dir is gone.
func Sign(ctx context.Context, dir, keyFile string) (f Found, who Publisher, err error) {
	key, err := readKey(keyFile)
	if err != nil {
		return f, "", err
	}
	if strings.HasPrefix(keyFile, filepath.Clean(dir)+"/") {
		return f, "", fault.New(fault.Denied, "the key %s lies in the capsule, and would be installed with it: move it elsewhere", keyFile)
	}
	staged, err := os.MkdirTemp("", "astrid-sign-*")
	if err != nil {
		return f, "", fault.Wrap(fault.KindOf(err), err, "make room for the capsule")
	}
	defer os.RemoveAll(staged)
	if err := copyTree(ctx, dir, staged); err != nil {
		return f, "", err
	}
	if err := os.Remove(filepath.Join(staged, SignatureName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, "", fault.Wrap(fault.KindOf(err), err, "sign the capsule")
	}
	text := []byte(nil)
	if f, err = Load(staged); errors.Is(err, fs.ErrNotExist) {
		err = fault.New(fault.Usage, "%s has no %s", dir, ManifestName)
	}
	if err == nil {
		err = errors.Join(f.VerifyComponents(), f.VerifyTexts())
	}
	if err == nil {
		text, err = f.signed()
	}
	if err != nil {
		return f, "", renamed(err, staged, dir)
	}
	who = publisherOf(key.Public().(ed25519.PublicKey))
	line := string(who) + " " + base64.StdEncoding.EncodeToString(ed25519.Sign(key, text)) + "\n"
	path := filepath.Join(dir, SignatureName)
	if err := home.WriteFileAtomic(path, []byte(line)); err != nil {
		return f, "", err
	}
	if err := os.Chmod(path, 0o644); err != nil { // it is no secret
		return f, "", fault.Wrap(fault.KindOf(err), err, "write %s", path)
	}
	return f, who, nil
}

// NewKey makes a key to sign with and writes it, 0600, to a file that must not be
// there yet: PKCS #8 in PEM.
func NewKey(file string) (Publisher, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "make a key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "make a key")
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fault.New(fault.Exists, "%s is there already, and a key is never replaced: say another file", file)
	}
	if err == nil {
		err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
		err = errors.Join(err, f.Sync(), f.Close())
		if err == nil {
			err = home.SyncDir(filepath.Dir(file))
		}
	}
	if err != nil {
		return "", fault.Wrap(fault.KindOf(err), err, "write the key %s", file)
	}
	return publisherOf(public), nil
}

// readKey reads a private key that nobody else may read.
func readKey(file string) (ed25519.PrivateKey, error) {
	if st, err := os.Lstat(file); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Denied, "others may read the key %s: run chmod 600 on it, or make another with astrid capsule keygen if they did", file)
	}
	data, err := home.ReadPrivate(file, maxKey)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, is := key.(ed25519.PrivateKey); is {
				return key, nil
			}
		}
	}
	return nil, fault.New(fault.Usage, "%s holds no ed25519 key in PKCS #8: astrid capsule keygen makes one", file)
}

package capsule

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// signedCapsule is a directory with a capsule and its signature by a key of ones.
func signedCapsule(t *testing.T) (dir string, key ed25519.PrivateKey) {
	t.Helper()
	dir, key = t.TempDir(), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	put(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	put(t, filepath.Join(dir, ManifestName), "[package]\nname = \"x\"\nversion = \"1.0.0\"\n")
	put(t, filepath.Join(dir, metaName), "{}") // is no part of it
	for range 2 {                              // the second replaces the first
		if _, _, err := Sign(t.Context(), dir, file); err != nil {
			t.Fatal(err)
		}
	}
	return dir, key
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASignatureIsOfTheBytesThatItsFormatNames(t *testing.T) {
	dir, key := signedCapsule(t)
	manifest, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	content := blake3.Sum256(append([]byte("\x0c\x00\x00\x00\x00\x00\x00\x00Capsule.toml\x27\x00\x00\x00\x00\x00\x00\x00"), manifest...))
	text := append([]byte("astrid capsule signature 1\x00\x01\x00\x00\x00x\x05\x00\x00\x001.0.0"), content[:]...)
	encode := base64.StdEncoding.EncodeToString
	want := "ed25519:" + encode(key.Public().(ed25519.PublicKey)) + " " + encode(ed25519.Sign(key, text)) + "\n"
	got, err := os.ReadFile(filepath.Join(dir, SignatureName))
	if err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestNoOtherLineIsASignature(t *testing.T) {
	dir, _ := signedCapsule(t)
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := f.Publisher(); err != nil || who == "" {
		t.Fatalf("%q, %v", who, err)
	}
	file := filepath.Join(dir, SignatureName)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		put(t, file, string(bad))
		if who, err := f.Publisher(); !fault.Is(err, fault.Denied) {
			t.Errorf("with another byte %d: %q, %v", i, who, err)
		}
		put(t, file, string(good[:i]))
		if who, err := f.Publisher(); i < len(good)-1 && !fault.Is(err, fault.Denied) {
			t.Errorf("its first %d bytes: %q, %v", i, who, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("Capsule.toml", file); err != nil {
		t.Fatal(err)
	}
	if who, err := f.Publisher(); err == nil {
		t.Errorf("a link is followed: %q", who)
	}
}

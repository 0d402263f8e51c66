package audit

import (
	"crypto/ed25519"
	"encoding/hex"
	"testing"
)

// A format change must change the domains, and these.
func TestGoldenVectors(t *testing.T) {
	r := Record{
		Seq: 1, Time: at(1_773_532_800), ID: [16]byte{0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1},
		Session: "hello", Principal: "owner", Door: "socket", PID: 42,
		Action:        Action{ServerStopped, Fields{"name": "capsule:demo", "reason": "user disconnect"}},
		Authorization: Authorization{System, Fields{"reason": "test"}},
		Outcome:       Outcome{Kind: "conflict", Text: "the base moved"},
	}
	key := testKey(0)
	copy(r.KeyID[:], key[32:])
	body := encode(&r)
	s, hash := seal(key, body)
	head := Head{Seq: 1, Time: r.Time, Hash: hash}
	stored := head.sign(key)
	begins := base{Seq: 1, Hash: hash}.sign(key)
	if b, err := openBase(testKey(0).Public().(ed25519.PublicKey), begins); err != nil || b != (base{1, hash}) {
		t.Errorf("%+v, %v", b, err)
	}
	for name, c := range map[string]struct{ got, want string }{
		"body": {hex.EncodeToString(body), "01000000000000000000815dafda9c180000000000004000800000000000000103a107bff3ce10be" +
			"0000000000000000000000000000000000000000000000000000000000000000" +
			"0500000068656c6c6f050000006f776e657206000000736f636b65742a000000" +
			"0e0000007365727665725f73746f7070656402000000040000006e616d650c00000063617073756c653a64656d6f" +
			"06000000726561736f6e0f0000007573657220646973636f6e6e656374" +
			"0600000073797374656d0100000006000000726561736f6e0400000074657374" +
			"0008000000636f6e666c6963740e0000007468652062617365206d6f766564"},
		"hash": {hex.EncodeToString(hash[:]), "b540fb1eb2af199021a8c7234e5885f3059d6db2b1ae857ef5238f10158142f7"},
		"signature": {hex.EncodeToString(s[len(body):]), "c70c34e0516bd6aaa58b480b38e1c67323ca7ee33e70a0e4b14f384280a2b200" +
			"49a758c24b8f4dfde7277a57aa1ed5e14868c43876fa1a775cc1e656edb8620b"},
		"base": {hex.EncodeToString(begins), "0100000000000000b540fb1eb2af199021a8c7234e5885f3059d6db2b1ae857ef5238f10158142f7" +
			"6eedd5f926298de75dea88b72ebbe706e86b6d032bad84c03f1fb1fbe85b00a89f75c2cdfb5da46bb27a83a997d8863b1ca338341a73576ca4dd55ed9598b101"},
		"head": {hex.EncodeToString(stored), "010000000000000000000000000000000000815dafda9c18b540fb1eb2af1990" +
			"21a8c7234e5885f3059d6db2b1ae857ef5238f10158142f720d8c5bf5d68e615" +
			"70db8cd7a68f35bbdb129f535e3c97ea7e1cdd578b58a83a70962484f9715265" +
			"2f7e0c7be73e978884bb47893e0fcbd166794c14afcc460c"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s", name, c.got)
		}
	}
}

package cap

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"astrid/kernel/fault"
)

// golden is the token of the vectors of 0.2.
func golden() Token {
	t := Token{
		ID: "11111111-2222-4333-8444-555555555555", Resource: "mcp://files:read_*", Permissions: []Permission{Invoke, Read},
		IssuedAt: time.Unix(1_773_532_800, 0).UTC(), ExpiresAt: time.Unix(1_773_536_400, 0).UTC(), Scope: ScopePersistent,
		User: testKey(0).Public().User(), Approval: "66666666-7777-4888-8999-aaaaaaaaaaaa",
	}
	t.sign(testKey(0))
	return t
}

const goldenJSON = `{"id":"11111111-2222-4333-8444-555555555555","resource":"mcp://files:read_*","permissions":["invoke","read"],` +
	`"issued_at":"2026-03-15T00:00:00Z","expires_at":"2026-03-15T01:00:00Z","scope":"persistent",` +
	`"issuer":"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=","user_id":[3,161,7,191,243,206,16,190],` +
	`"approval_audit_id":"66666666-7777-4888-8999-aaaaaaaaaaaa","single_use":false,` +
	`"signature":"KRfKQrqH37g4Qr4+rW0OlOzC83PJhdBDX4zeSuOOcmK7BT4YHM1rnsSfQg4+FfGVGvbmohnA6X1r06/xywvGAg=="}`

func TestGoldenVectors(t *testing.T) {
	token, key := golden(), testKey(0).Public()
	hash := token.Hash()
	text, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want string }{
		"public key": {hex.EncodeToString(key[:]), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"},
		"signing bytes": {hex.EncodeToString(token.SigningBytes()), "01" + "10000000" + "11111111222243338444555555555555" +
			"12000000" + "6d63703a2f2f66696c65733a726561645f2a" + "02000000" + "06000000" + "696e766f6b65" + "04000000" + "72656164" +
			"80f6b56900000000" + "01" + "9004b66900000000" + "0a000000" + "70657273697374656e74" +
			"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8" + "03a107bff3ce10be" +
			"10000000" + "66666666777748888999aaaaaaaaaaaa" + "00"},
		"hash": {hex.EncodeToString(hash[:]), "6a6310bf245dbc2eedf039839d017938887b0a231164877d46ca8784d24a1586"},
		"signature": {base64.StdEncoding.EncodeToString(token.Signature[:]),
			"KRfKQrqH37g4Qr4+rW0OlOzC83PJhdBDX4zeSuOOcmK7BT4YHM1rnsSfQg4+FfGVGvbmohnA6X1r06/xywvGAg=="},
		"JSON": {string(text), goldenJSON},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s", name, c.got)
		}
	}
	if n := len(token.SigningBytes()); n != 157 {
		t.Errorf("%d signing bytes", n)
	}
	back, err := ParseToken([]byte(goldenJSON))
	if diff := cmp.Diff(token, back); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}

func TestATokenWithoutExpiryOrForASingleUse(t *testing.T) {
	token := golden()
	token.ExpiresAt, token.SingleUse, token.Scope = time.Time{}, true, ScopeSession
	token.sign(testKey(0))
	text, err := json.Marshal(token)
	if err != nil || !strings.Contains(string(text), `"expires_at":null`) || !strings.Contains(string(text), `"single_use":true`) {
		t.Errorf("%s, %v", text, err)
	}
	back, err := ParseToken(text)
	if diff := cmp.Diff(token, back); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}

func TestWhatParsesAndWhatDoesNot(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		kind     fault.Kind
		text     string
	}{
		"unknown keys are ignored":        {`{"id"`, `{"new":[1],"id"`, 0, ""},
		"an offset is the same time":      {"2026-03-15T00:00:00Z", "2026-03-15T02:00:00+02:00", 0, ""},
		"a fraction is not signed":        {"01:00:00Z", "01:00:00.999999Z", 0, ""},
		"upper case is the same UUID":     {"aaaaaaaaaaaa", "AAAAAAAAAAAA", 0, ""},
		"spaces mean nothing":             {`,"scope"`, ` , "scope"`, 0, ""},
		"single_use may be absent":        {`"single_use":false,`, ``, 0, ""},
		"another resource":                {"read_*", "read_?", fault.Denied, "invalid token signature"},
		"another permission":              {`"invoke"`, `"write"`, fault.Denied, "invalid token signature"},
		"another order of permissions":    {`"invoke","read"`, `"read","invoke"`, fault.Denied, "invalid token signature"},
		"another expiry":                  {"01:00:00Z", "02:00:00Z", fault.Denied, "invalid token signature"},
		"no expiry":                       {`"2026-03-15T01:00:00Z"`, `null`, fault.Denied, "invalid token signature"},
		"another user":                    {"[3,", "[4,", fault.Denied, "invalid token signature"},
		"another scope":                   {"persistent", "session", fault.Denied, "invalid token signature"},
		"single use":                      {"false", "true", fault.Denied, "invalid token signature"},
		"another id":                      {"11111111-2222", "21111111-2222", fault.Denied, "invalid token signature"},
		"another approval":                {"66666666", "76666666", fault.Denied, "invalid token signature"},
		"another issuer":                  {"A6EHv", "B6EHv", fault.Denied, "invalid token signature"},
		"an unknown permission":           {`"invoke"`, `"rule"`, fault.Usage, `"rule"`},
		"a permission twice":              {`"invoke"`, `"read"`, fault.Usage, "twice"},
		"no permission":                   {`["invoke","read"]`, `[]`, fault.Usage, "without permissions"},
		"nobody":                          {"[3,161,7,191,243,206,16,190]", "[0,0,0,0,0,0,0,0]", fault.Usage, "nobody"},
		"a key twice":                     {`{"id"`, `{"id":"1","id"`, fault.Usage, "serialization error"},
		"another case":                    {`"id":`, `"ID":`, fault.Usage, "serialization error"},
		"no object":                       {`{"id"`, `["id"`, fault.Usage, "serialization error"},
		"a user id that is no byte":       {"[3,", "[256,", fault.Usage, "serialization error"},
		"a negative user id":              {"[3,", "[-1,", fault.Usage, "serialization error"},
		"a user id too short":             {"[3,", "[", fault.Usage, "serialization error"},
		"a user id in base64":             {"[3,161,7,191,243,206,16,190]", `"A6EHv/POEL4="`, fault.Usage, "serialization error"},
		"an unknown scope":                {"persistent", "for ever", fault.Usage, "serialization error"},
		"no UUID":                         {"11111111-2222", "111111112222-", fault.Usage, "serialization error"},
		"no time":                         {"2026-03-15T00:00:00Z", "yesterday", fault.Usage, "serialization error"},
		"a short issuer":                  {"A6EHv/PO", "", fault.Usage, "serialization error"},
		"a short signature":               {"KRfK", "", fault.Usage, "serialization error"},
		"base64 of another sort":          {"Qr4+rW0O", "Qr4-rW0O", fault.Usage, "serialization error"},
		"a resource that climbs":          {"read_*", "a/../b", fault.Usage, "invalid resource pattern: "},
		"a resource of no scheme":         {"mcp://", "mcp:/", fault.Usage, "invalid resource pattern: "},
		"something behind it":             {`Ag=="}`, `Ag=="}{}`, fault.Usage, "serialization error"},
		"text that is not UTF-8":          {"read_*", "read_\xff", fault.Usage, "serialization error"},
		"more than anybody should accept": {"}", "}" + strings.Repeat(" ", MaxTokenJSON), fault.Limit, "the limit is"},
	} {
		changed := strings.Replace(goldenJSON, c.old, c.new, 1)
		if changed == goldenJSON {
			t.Fatalf("%s: nothing was changed", name)
		}
		token, err := ParseToken([]byte(changed))
		switch {
		case c.text == "" && (err != nil || token.Hash() != golden().hash()):
			t.Errorf("%s: %v", name, err)
		case c.text != "":
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func (t Token) hash() [32]byte { return t.Hash() }

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(goldenJSON))
	f.Add([]byte(strings.Replace(goldenJSON, `"2026-03-15T01:00:00Z"`, "null", 1)))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := ParseToken(data)
		if err != nil {
			return
		}
		if !ed25519.Verify(token.Issuer[:], token.SigningBytes(), token.Signature[:]) {
			t.Error("accepted without a signature")
		}
		text, err := json.Marshal(token)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseToken(text); err != nil || cmp.Diff(token, back) != "" {
			t.Errorf("%s does not come back: %v", text, err)
		}
	})
}

package wire

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Paths is a list of paths or globs that survives JSON byte for byte: one that
// is not UTF-8 is written as {"b64":"…"} instead of a string.
type Paths []string

type encodedPath struct {
	B64 []byte `json:"b64"`
}

// MarshalJSONTo writes the array.
func (p Paths) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, path := range p {
		if err := writePath(enc, path); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

func writePath(enc *jsontext.Encoder, path string) error {
	if utf8.ValidString(path) {
		return enc.WriteToken(jsontext.String(path))
	}
	data, err := Encode(encodedPath{[]byte(path)})
	if err != nil {
		return err
	}
	return enc.WriteValue(data)
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes; null is an empty list.
func (p *Paths) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var list []jsontext.Value
	if err := Decode(value, &list); err != nil {
		return err
	}
	*p = nil
	for _, item := range list {
		path, err := readPath(item)
		if err != nil {
			return err
		}
		*p = append(*p, path)
	}
	return nil
}

func readPath(item jsontext.Value) (string, error) {
	if item.Kind() == jsontext.KindBeginObject {
		var e encodedPath
		err := Decode(item, &e)
		return string(e.B64), err
	}
	var path string
	err := Decode(item, &path)
	return path, err
}

// SplitPath distributes the bytes of a path over the two fields of a Change:
// exactly one of them is set.
func SplitPath(raw string) (path string, b64 []byte) {
	if utf8.ValidString(raw) {
		return raw, nil
	}
	return "", []byte(raw)
}

// JoinPath is the inverse of SplitPath.
func JoinPath(path string, b64 []byte) string {
	if b64 != nil {
		return string(b64)
	}
	return path
}

// Name is the path of c in the view, byte for byte.
func (c *Change) Name() string { return JoinPath(c.Path, c.PathB64) }

// Source is the path of c in the base when c is a rename, byte for byte.
func (c *Change) Source() string { return JoinPath(c.From, c.FromB64) }

// Name is the path of c, byte for byte.
func (c *Conflict) Name() string { return JoinPath(c.Path, c.PathB64) }

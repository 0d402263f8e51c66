package wire

// KVKey names a value of the state store.
type KVKey struct {
	Namespace string `json:"namespace"`
	Key       string `json:"key"`
}

// KVValue is a value: Text when it is UTF-8, else Bytes.
type KVValue struct {
	Text  *string `json:"text,omitempty"`
	Bytes []byte  `json:"bytes,omitempty"`
}

// NewKVValue puts bytes into the member that carries them whole.
func NewKVValue(value []byte) KVValue {
	if text, rest := SplitPath(string(value)); rest == nil {
		return KVValue{Text: &text}
	}
	return KVValue{Bytes: value}
}

// Value is the inverse of NewKVValue.
func (v KVValue) Value() []byte {
	if v.Text != nil {
		return []byte(*v.Text)
	}
	return v.Bytes
}

// KVSet sets a value.
type KVSet struct {
	KVKey
	KVValue
	TTL float64 `json:"ttl_seconds,omitzero"`
	// Old, when it is there, must be the present value; Absent demands that
	// there is none. Otherwise the set is a conflict.
	Old    *KVValue `json:"old,omitempty"`
	Absent bool     `json:"absent,omitzero"`
}

// KVList asks for the keys of a namespace.
type KVList struct {
	Namespace string `json:"namespace"`
	Prefix    string `json:"prefix,omitempty"`
	After     string `json:"after,omitempty"` // only keys greater than this
	Max       int    `json:"max,omitzero"`    // default and at most 1000
}

// KVKeys is a page of keys, in order.
type KVKeys struct {
	Keys []string `json:"keys"`
	More bool     `json:"more"`
}

// KVClear deletes the keys with a prefix; all of the namespace when it is empty.
type KVClear struct {
	Namespace string `json:"namespace"`
	Prefix    string `json:"prefix,omitempty"`
}

// Cleared counts what was deleted.
type Cleared struct {
	Cleared int `json:"cleared"`
}

// LogRequest asks for the end of the kernel's log.
type LogRequest struct {
	Lines int `json:"lines,omitzero"` // default 200, at most 10000
}

package wire

import (
	"bytes"
	"unicode/utf8"
)

// Hunk is a part of the changes that can be committed by itself.
type Hunk struct {
	ID      string `json:"id"` // says path and content; see CommitRequest.Hunks
	Path    string `json:"path,omitempty"`
	PathB64 []byte `json:"path_b64,omitempty"`
	From    string `json:"from,omitempty"` // of a rename
	FromB64 []byte `json:"from_b64,omitempty"`
	Op      string `json:"op"`   // of the change that it is of: A M D R T m
	What    string `json:"what"` // lines, attributes, whole
	// Of lines: the line before which they begin, from 0, and how many they are.
	OldAt    int `json:"old_at,omitzero"`
	OldLines int `json:"old_lines,omitzero"`
	NewAt    int `json:"new_at,omitzero"`
	NewLines int `json:"new_lines,omitzero"`

	Text    string `json:"text,omitempty"` // as in a patch; of a whole path the beginning of its patch
	TextB64 []byte `json:"text_b64,omitempty"`
	Parts   []Hunk `json:"parts,omitempty"` // the runs of changed lines, when there are several
}

// Name is the path in the view, byte for byte.
func (h *Hunk) Name() string { return JoinPath(h.Path, h.PathB64) }

// Body is the text, byte for byte.
func (h *Hunk) Body() []byte {
	if h.TextB64 != nil {
		return h.TextB64
	}
	return []byte(h.Text)
}

// SetBody sets the text.
func (h *Hunk) SetBody(b []byte) {
	if utf8.Valid(b) {
		h.Text = string(b)
		return
	}
	h.TextB64 = b
}

// HunksRequest asks for the hunks of the changes; they come as lines of JSON, a Hunk
// each.
type HunksRequest struct {
	Paths   Paths `json:"paths,omitempty"` // paths or globs relative to the workspace's root; none: all
	Exclude Paths `json:"exclude,omitempty"`
}

// HunkLines is a writer that takes those lines and calls Each for every Hunk.
type HunkLines struct {
	Each func(Hunk) error
	rest []byte
}

// Write takes some bytes of the lines.
func (l *HunkLines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, after, whole := bytes.Cut(l.rest, []byte{'\n'})
		if !whole {
			return len(p), nil
		}
		var h Hunk
		if err := Decode(line, &h); err != nil {
			return 0, err
		}
		if err := l.Each(h); err != nil {
			return 0, err
		}
		l.rest = after
	}
}

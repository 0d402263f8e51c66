package wire

// BrakeLimits say how much may be changed through a view before it takes no more
// changes. 0: no limit.
type BrakeLimits struct {
	Deleted        int64 `json:"deleted,omitzero"` // names removed
	Changed        int64 `json:"changed,omitzero"` // files made, moved, or changed for the first time
	Bytes          int64 `json:"bytes,omitzero"`   // written
	OpsPerSecond   int64 `json:"ops_per_second,omitzero"`
	BytesPerSecond int64 `json:"bytes_per_second,omitzero"`
}

// BrakeUsed is what was used of them.
type BrakeUsed struct {
	Deleted int64 `json:"deleted"`
	Changed int64 `json:"changed"`
	Bytes   int64 `json:"bytes"`
}

// Brake is the state of a session's limits.
type Brake struct {
	Limits BrakeLimits `json:"limits"`
	Used   BrakeUsed   `json:"used"`
	Why    string      `json:"why,omitempty"` // a sentence, when the view takes no more changes
}

// BrakeRequest sets limits, and lets a view that was stopped go on. What is absent
// stays as it is; 0 takes a limit away.
type BrakeRequest struct {
	Deleted        *int64 `json:"deleted,omitempty"`
	Changed        *int64 `json:"changed,omitempty"`
	Bytes          *int64 `json:"bytes,omitempty"`
	OpsPerSecond   *int64 `json:"ops_per_second,omitempty"`
	BytesPerSecond *int64 `json:"bytes_per_second,omitempty"`
	Off            bool   `json:"off,omitzero"`   // no limits, but those named
	Reset          bool   `json:"reset,omitzero"` // count from nothing again
}

// Apply returns the limits that the request makes of l, and whether all that it says
// can be a limit.
func (r BrakeRequest) Apply(l BrakeLimits) (BrakeLimits, bool) {
	if r.Off {
		l = BrakeLimits{}
	}
	ok := true
	for _, x := range []struct {
		to   *int64
		from *int64
	}{
		{&l.Deleted, r.Deleted},
		{&l.Changed, r.Changed},
		{&l.Bytes, r.Bytes},
		{&l.OpsPerSecond, r.OpsPerSecond},
		{&l.BytesPerSecond, r.BytesPerSecond},
	} {
		if x.from != nil {
			*x.to = *x.from
			ok = ok && *x.from >= 0
		}
	}
	return l, ok
}

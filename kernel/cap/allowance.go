package cap

import (
	"crypto/ed25519"
	"time"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
)

// Allowance lets its capsule do what its pattern matches without asking.
type Allowance struct {
	ID            ID
	Pattern       Pattern
	CreatedAt     time.Time
	ExpiresAt     time.Time // zero: never
	MaxUses       uint32    // 0: any number
	UsesRemaining uint32    // counts if MaxUses is not 0
	SessionOnly   bool      // it ends with Session
	Workspace     string    // the workspace it is for; empty: any
	Capsule       string    // whose requests; empty: those of no capsule
	Principal     string
	Session       string // empty: any of the principal's
}

// binds tells whether a is for who asks, wherever.
func (a *Allowance) binds(r *Request) bool {
	return a.Capsule == r.Capsule && a.Principal == r.Principal && a.Principal != "" &&
		(a.Session == r.Session || a.Session == "" && !a.SessionOnly) &&
		(a.Workspace == "" || a.Workspace == r.Workspace)
}

func (a *Allowance) expired(now time.Time) bool {
	return !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt)
}

// check refuses what would be an allowance for everybody or for nothing.
func (a *Allowance) check(now time.Time) error {
	switch {
	case a.Principal == "":
		return fault.New(fault.Usage, "an allowance for nobody: name its principal")
	case a.SessionOnly && a.Session == "":
		return fault.New(fault.Usage, "an allowance for a session only: name the session")
	case a.Workspace != "" && !cleanPath(a.Workspace):
		return fault.New(fault.Usage, "the workspace %.128q is not a clean absolute path", a.Workspace)
	case a.ExpiresAt.Year() > maxYear:
		return fault.New(fault.Usage, "an allowance that expires after the year %d: leave its expiry out", maxYear)
	case a.expired(now):
		return fault.New(fault.Usage, "the allowance would have expired at %s already", formatTime(a.ExpiresAt))
	}
	return nil
}

// allowanceJSON is an Allowance in JSON; what is absent is null.
type allowanceJSON struct {
	ID            string  `json:"id"`
	Pattern       Pattern `json:"action_pattern"`
	CreatedAt     string  `json:"created_at"`
	ExpiresAt     *string `json:"expires_at"`
	MaxUses       *uint32 `json:"max_uses"`
	UsesRemaining *uint32 `json:"uses_remaining"`
	SessionOnly   bool    `json:"session_only"`
	Workspace     *string `json:"workspace_root"`
	Capsule       *string `json:"capsule_id"`
	Principal     string  `json:"principal"`
	Session       *string `json:"session"`
}

// MarshalJSON is the form of 0.2 with what it is bound to. Times are cut to seconds.
func (a Allowance) MarshalJSON() ([]byte, error) {
	j := allowanceJSON{
		ID: string(a.ID), Pattern: a.Pattern, CreatedAt: formatTime(a.CreatedAt), SessionOnly: a.SessionOnly, Principal: a.Principal,
		Workspace: orNull(a.Workspace), Capsule: orNull(a.Capsule), Session: orNull(a.Session),
	}
	if !a.ExpiresAt.IsZero() {
		j.ExpiresAt = orNull(formatTime(a.ExpiresAt))
	}
	if a.MaxUses != 0 {
		j.MaxUses, j.UsesRemaining = &a.MaxUses, &a.UsesRemaining
	}
	return json.Marshal(j)
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func orZero[T any](v *T) (t T) {
	if v != nil {
		t = *v
	}
	return t
}

// UnmarshalJSON is the inverse.
func (a *Allowance) UnmarshalJSON(data []byte) error {
	var j allowanceJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fault.Wrap(fault.Usage, err, "serialization error")
	}
	*a = Allowance{
		Pattern: j.Pattern, MaxUses: orZero(j.MaxUses), UsesRemaining: orZero(j.UsesRemaining), SessionOnly: j.SessionOnly,
		Workspace: orZero(j.Workspace), Capsule: orZero(j.Capsule), Principal: j.Principal, Session: orZero(j.Session),
	}
	err := parseID(&a.ID, j.ID)
	if err == nil {
		err = parseTime(&a.CreatedAt, j.CreatedAt)
	}
	if err == nil && j.ExpiresAt != nil {
		err = parseTime(&a.ExpiresAt, *j.ExpiresAt)
	}
	return err
}

const domainAllowance = "astrid allowance 1\x00"

// sealAllowance is the stored form of a.
func sealAllowance(k Key, a Allowance) ([]byte, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "serialization error")
	}
	return append(ed25519.Sign(k.private, append([]byte(domainAllowance), text...)), text...), nil
}

// openAllowance verifies the stored form of an allowance and then parses it.
func openAllowance(p PublicKey, data []byte) (a Allowance, err error) {
	n := ed25519.SignatureSize
	if len(data) < n || !ed25519.Verify(p[:], append([]byte(domainAllowance), data[n:]...), data[:n]) {
		return a, fault.New(fault.Denied, "invalid allowance signature")
	}
	return a, json.Unmarshal(data[n:], &a)
}

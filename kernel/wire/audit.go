package wire

import "time"

// AuditRecord is one record of the audit log as it is shown; an export has the
// signed bytes and the signature beside it.
type AuditRecord struct {
	Seq           uint64            `json:"seq"`
	Time          time.Time         `json:"time"`
	ID            string            `json:"id"`
	Session       string            `json:"session"`
	Principal     string            `json:"principal"`
	Door          string            `json:"door"`
	PID           uint32            `json:"pid"`
	Action        map[string]string `json:"action"`        // with its type
	Authorization map[string]string `json:"authorization"` // with its type
	Outcome       map[string]string `json:"outcome"`       // status, kind and text
	Previous      string            `json:"previous_hash"`
	Hash          string            `json:"hash"`
}

// ReadAudit asks for records after number Since, oldest first. With Last it asks
// for the last so many instead.
type ReadAudit struct {
	Since uint64 `json:"since,omitzero"`
	Last  int    `json:"last,omitzero"`
	Max   int    `json:"max,omitzero"` // default and at most 1000
}

// AuditPage is a piece of the log.
type AuditPage struct {
	Records []AuditRecord `json:"records"`
	Head    uint64        `json:"head"` // number of the last record there is
}

// VerifyAudit asks to verify the log from record From on (0: all of it).
type VerifyAudit struct {
	From uint64 `json:"from,omitzero"`
}

// AuditReport is the result. Bad is the first record that is not as it was
// written, 0 when all are.
type AuditReport struct {
	Records  uint64 `json:"records"`
	Archived uint64 `json:"archived,omitzero"` // of the records, those in archives
	Live     uint64 `json:"live,omitzero"`     // the first record that is in no archive
	Head     uint64 `json:"head"`
	Hash     string `json:"hash"`
	Key      string `json:"key"` // the pinned public key, base64
	Bad      uint64 `json:"bad,omitzero"`
	Why      string `json:"why,omitempty"`
	Archive  string `json:"archive,omitempty"` // the archive that is missing or was changed
}

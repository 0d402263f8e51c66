package wire

// Protocol is the version of the socket protocol, 1 since 0.2.0.
const Protocol = 1

// Version is the protocol generation that this build names in a handshake and
// answers to `version`.
const Version = "0.2.0"

// Hello is the first frame of a client.
type Hello struct {
	Token           string `json:"token"` // 64 hex digits
	ProtocolVersion uint8  `json:"protocol_version"`
	ClientVersion   string `json:"client_version"`
	// Session, which 0.2 does not know, narrows the connection: it then reaches
	// that session only.
	Session string `json:"session,omitempty"`
}

// Words of Welcome.Status.
const (
	WelcomeOK    = "ok"
	WelcomeError = "error"
)

// Welcome is the kernel's answer to Hello. After an error it closes.
type Welcome struct {
	Status          string `json:"status"`
	ProtocolVersion uint8  `json:"protocol_version"`
	ServerVersion   string `json:"server_version"`
	Reason          string `json:"reason,omitempty"` // only with an error
}

package op

// Capability is what an operation demands of its caller.
type Capability uint8

// The capabilities. Deny, the zero value, is held by nobody.
const (
	Deny Capability = iota
	KernelRead
	KernelShutdown
	SessionUp
	SessionDown
	SessionList
	SessionRemove
	SessionRead
	SessionCommit
	SessionDiscard
	SessionCheckpoint
	SessionRecover
	CapsuleRead
	CapsuleReload
	CapsuleInstall
	CapabilityApprove
	CapabilityRead
	CapabilityGrant
	CapabilityRevoke
	ApprovalAsk
	ApprovalRead
	IdentityRead
	IdentityWrite
	AuditReading
	BusRead
	BusPublish
	StateRead
	StateWrite
	KernelLog
	ToolCall
	capabilities
)

// names are the capabilities as tokens and policies write them.
func names() [capabilities]string {
	return [capabilities]string{
		KernelRead:        "kernel:read",
		KernelShutdown:    "kernel:shutdown",
		SessionUp:         "session:up",
		SessionDown:       "session:down",
		SessionList:       "session:list",
		SessionRemove:     "session:remove",
		SessionRead:       "session:read",
		SessionCommit:     "session:commit",
		SessionDiscard:    "session:discard",
		SessionCheckpoint: "session:checkpoint",
		SessionRecover:    "session:recover",
		CapsuleRead:       "capsule:read",
		CapsuleReload:     "capsule:reload",
		CapsuleInstall:    "capsule:install",
		CapabilityApprove: "capability:approve",
		CapabilityRead:    "capability:read",
		CapabilityGrant:   "capability:grant",
		CapabilityRevoke:  "capability:revoke",
		ApprovalAsk:       "approval:ask",
		ApprovalRead:      "approval:read",
		IdentityRead:      "identity:read",
		IdentityWrite:     "identity:write",
		AuditReading:      "audit:read",
		BusRead:           "bus:read",
		BusPublish:        "bus:publish",
		StateRead:         "state:read",
		StateWrite:        "state:write",
		KernelLog:         "kernel:log",
		ToolCall:          "tool:call",
	}
}

// String is the name of the capability as tokens and policies write it.
func (c Capability) String() string {
	if c == Deny || c >= capabilities {
		return "deny"
	}
	return names()[c]
}

// AllCapabilities returns every capability but Deny.
func AllCapabilities() []Capability {
	all := make([]Capability, 0, capabilities)
	for c := Deny + 1; c < capabilities; c++ {
		all = append(all, c)
	}
	return all
}

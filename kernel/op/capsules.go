package op

import "astrid/kernel/wire"

// capsuleEntries are the methods of the 0.2 protocol and what goes beyond them.
func capsuleEntries(c Capsules, a Approvals) []*Entry {
	approve := unary(ApproveCapability, CapabilityApprove, policy{audited: true, max: 10}, "approve a request, as 0.2 names it", a.Approve)
	approve.about, approve.judges = requestSession(a), true
	return []*Entry{
		unary(ListCapsules, CapsuleRead, plain(), "list the ids of the capsules", c.IDs),
		unary(GetCommands, CapsuleRead, policy{status: wire.StatusCommands}, "list the commands of the capsules", c.Commands),
		unary(GetCapsuleMetadata, CapsuleRead, policy{status: wire.StatusCapsuleMetadata}, "describe the capsules", c.Metadata),
		unary(ReloadCapsules, CapsuleReload, policy{audited: true, max: 5}, "load what is new, changed or failed", c.Reload),
		unary(InstallCapsule, CapsuleInstall, policy{audited: true, max: 10}, "install or upgrade a capsule", c.Install),
		approve,
		unary(CapsuleInfos, CapsuleRead, plain(), "list the capsules with their state", c.Infos),
		unary(RemoveCapsule, CapsuleInstall, audited(), "end a capsule and take it off the disk", c.Remove),
		unary(TrustCapsule, CapsuleInstall, audited(), "agree to a capsule as it is, and load it", c.Trust),
		unary(EnableCapsule, CapsuleReload, audited(), "switch a capsule on", c.Enable),
		unary(DisableCapsule, CapsuleReload, audited(), "switch a capsule off", c.Disable),
		stream(LogOfCapsule, KernelLog, plain(), "write what the kernel's log has about a capsule", c.Log),
		unary(CallTool, ToolCall, audited(), "call a tool of a capsule", c.Call),
	}
}

package op

import (
	"context"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// capsuleEntries are the methods of the 0.2 protocol, answered for a kernel
// that has no capsules loaded.
func capsuleEntries(a Approvals) []*Entry {
	approve := unary(ApproveCapability, CapabilityApprove, policy{audited: true, max: 10}, "approve a request, as 0.2 names it", a.Approve)
	approve.about, approve.judges = requestSession(a), true
	return []*Entry{
		unary(ListCapsules, CapsuleRead, policy{}, "list the capsules", nothing[string]),
		unary(GetCommands, CapsuleRead, policy{status: wire.StatusCommands}, "list the commands of the capsules", nothing[wire.Command]),
		unary(GetCapsuleMetadata, CapsuleRead, policy{status: wire.StatusCapsuleMetadata}, "describe the capsules", nothing[wire.CapsuleMetadata]),
		unary(ReloadCapsules, CapsuleReload, policy{audited: true, max: 5}, "load the capsules again", reload),
		unary(InstallCapsule, CapsuleInstall, policy{audited: true, max: 10}, "install a capsule",
			unsupported[wire.InstallCapsule]("Installation logic not yet implemented in kernel router")),
		approve,
	}
}

func nothing[T any](context.Context, wire.None) ([]T, error) { return []T{}, nil }

func reload(context.Context, wire.None) (wire.Reloaded, error) {
	return wire.Reloaded{Status: "reloaded"}, nil
}

// unsupported answers with the sentence that clients of 0.2 know.
func unsupported[P any](text string) func(context.Context, P) (wire.None, error) {
	return func(context.Context, P) (wire.None, error) {
		return wire.None{}, fault.New(fault.Unsupported, "%s", text)
	}
}

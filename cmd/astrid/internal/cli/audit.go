package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) auditCommand() *cobra.Command {
	var req wire.ReadAudit
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read the audit log, verify it, export it",
		Long: `Shows the last records of the audit log: what was asked of the kernel, by whom,
why it was allowed, and what came of it. Each record is signed and chained to the
one before it; astrid audit verify proves that none was changed or removed.`,
		Example: `  astrid audit --last 50
  astrid audit verify
  astrid audit export > audit.jsonl`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Since > 0 {
				req.Last = 0
			}
			var page wire.AuditPage
			if err := a.admin(cmd.Context(), op.AuditRead, req, &page); err != nil {
				return err
			}
			rows := make([][]string, 0, len(page.Records))
			for _, r := range page.Records {
				rows = append(rows, []string{fmt.Sprint(r.Seq), when(r.Time), r.Outcome["status"], r.Session, r.Action["type"], fields(r.Action), fields(r.Outcome)})
			}
			return a.table(page, "SEQ TIME OUTCOME SESSION ACTION WHAT DETAIL", rows)
		},
	}
	cmd.Flags().IntVar(&req.Last, "last", 20, "how many records")
	cmd.Flags().Uint64Var(&req.Since, "since", 0, "the records after number `N` instead")
	cmd.AddCommand(a.verifyAuditCommand(), a.exportAuditCommand())
	return cmd
}

// fields are the members of a part of a record but its tag, in order.
func fields(part map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(part)) {
		if name != "type" && name != "status" && name != "params_digest" {
			all = append(all, name+"="+part[name])
		}
	}
	return strings.Join(all, " ")
}

func (a *app) verifyAuditCommand() *cobra.Command {
	var req wire.VerifyAudit
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that no record was changed or removed",
		Long: `Verifies every signature and every link of the log, of its archives too (in audit/ of
Astrid's home), and its head. Exit code 1 names the first record that is not as it was
written, or the archive that is missing or changed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.verifyAudit(cmd.Context(), req) },
	}
	cmd.Flags().Uint64Var(&req.From, "from", 0, "from record `N` on instead of from the first")
	return cmd
}

func (a *app) verifyAudit(ctx context.Context, req wire.VerifyAudit) error {
	var r wire.AuditReport
	if err := a.admin(ctx, op.AuditVerify, req, &r); err != nil {
		return err
	}
	if a.json {
		if err := a.print(r); err != nil {
			return err
		}
	}
	if r.Why != "" {
		if a.json {
			return exit(1)
		}
		if r.Archive != "" {
			return fault.New(fault.Internal, "the audit log is broken at record %d: %s, audit/%s in Astrid's home; bring it back, or verify what is in no archive with --from %d", r.Bad, r.Why, oneLine(r.Archive), r.Live)
		}
		return fault.New(fault.Internal, "the audit log is broken at record %d: %s; keep a copy of it and find out who did that", r.Bad, r.Why)
	}
	if a.json {
		return nil
	}
	if r.Archived > 0 {
		return a.say("%d records verified, %d of them in archives; the head is %d, %s\n", r.Records, r.Archived, r.Head, r.Hash)
	}
	return a.say("%d records verified; the head is %d, %s\n", r.Records, r.Head, r.Hash)
}

func (a *app) exportAuditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write the log as JSON lines with the signed bytes",
		Long:  "Writes every record as one line of JSON with the bytes that were signed and their signature, so that a stranger who has the public key can verify it. What was archived is in audit/ of Astrid's home as such lines, compressed: zcat.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.wake(cmd.Context()); err != nil {
				return err
			}
			return a.kernel.CallStream(cmd.Context(), op.AuditExport, nil, nil, a.Stdout)
		},
	}
}

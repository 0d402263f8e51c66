package host

import (
	"context"
	"slices"

	"astrid/kernel/approve"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// requestApproval asks people; the call's clock stands still meanwhile.
func (h *Host) requestApproval(ctx context.Context, clock Clock, args [][]byte) ([]byte, error) {
	var in struct {
		Action   string `json:"action"`
		Resource string `json:"resource"`
		Risk     string `json:"risk_level"`
	}
	if err := wire.Decode(args[0], &in); err != nil {
		return nil, err
	}
	caller := CallerOf(ctx)
	resume := clock.Pause()
	defer resume()
	a, err := h.Approve(ctx, approve.Request{
		Action: in.Action, Resource: in.Resource, Risk: in.Risk,
		Capsule: string(h.Capsule.Package.Name), Principal: caller.Principal, Session: caller.Session,
	})
	if err != nil {
		return nil, err
	}
	return encode(struct {
		Approved bool   `json:"approved"`
		Decision string `json:"decision"`
	}{a.Approved, a.Decision})
}

func (h *Host) hasSecret(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	var in struct {
		Key string `json:"key"`
	}
	if err := wire.Decode(args[0], &in); err != nil {
		return nil, err
	}
	exists, err := h.Secrets.Exists(in.Key)
	if err != nil {
		return nil, err
	}
	return encode(map[string]bool{"exists": exists})
}

// mayIdentify tells whether the manifest asks for a level: resolve < link < admin.
func (h *Host) mayIdentify(level string) error {
	order := []string{"resolve", "link", "admin"}
	for _, have := range h.Capsule.Capabilities.Identity {
		if slices.Index(order, have) >= slices.Index(order, level) {
			if h.Identity == nil {
				break
			}
			return nil
		}
	}
	return fault.New(fault.Denied, "capsule '%s' has no identity capability %s", h.Capsule.Package.Name, level)
}

// account is the request of the identity functions.
type account struct {
	Platform string `json:"platform"`
	ID       string `json:"platform_user_id"`
	User     string `json:"astrid_user_id"`
	Method   string `json:"method"`
	Name     string `json:"display_name"`
}

// identify runs one of them; errors are members of the reply, as 0.2 has it.
func (h *Host) identify(ctx context.Context, level string, arg []byte, do func(account) (map[string]any, error)) ([]byte, error) {
	var in account
	err := h.mayIdentify(level)
	if err == nil {
		err = wire.Decode(arg, &in)
	}
	reply := map[string]any{}
	if err == nil {
		reply, err = do(in)
	}
	if err != nil {
		h.noteRefused(ctx, "astrid_identity", err)
		reply = map[string]any{"ok": false, "error": err.Error()}
		if level == "resolve" {
			reply = map[string]any{"found": false, "error": err.Error()}
		}
	}
	return encode(reply)
}

func (h *Host) identityResolve(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.identify(ctx, "resolve", args[0], func(in account) (map[string]any, error) {
		u, err := h.Identity.Resolve(in.Platform, in.ID)
		if fault.Is(err, fault.NotFound) {
			return map[string]any{"found": false}, nil
		}
		return map[string]any{"found": true, "user_id": u.ID, "display_name": u.Name}, err
	})
}

func (h *Host) identityLink(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.identify(ctx, "link", args[0], func(in account) (map[string]any, error) {
		if in.User == h.Identity.Root() {
			return nil, fault.New(fault.Denied, "no capsule makes an account the owner's")
		}
		l, err := h.Identity.Link(in.Platform, in.ID, in.User, in.Method)
		return map[string]any{"ok": true, "link": l}, err
	})
}

func (h *Host) identityUnlink(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.identify(ctx, "link", args[0], func(in account) (map[string]any, error) {
		removed, err := h.Identity.Unlink(in.Platform, in.ID)
		return map[string]any{"ok": true, "removed": removed}, err
	})
}

func (h *Host) identityCreate(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.identify(ctx, "admin", args[0], func(in account) (map[string]any, error) {
		u, err := h.Identity.CreateUser(in.Name, nil)
		return map[string]any{"ok": true, "user_id": u.ID}, err
	})
}

func (h *Host) identityLinks(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.identify(ctx, "link", args[0], func(in account) (map[string]any, error) {
		users, err := h.Identity.Users()
		links := []wire.UserLink{}
		for _, u := range users {
			if u.ID == in.User {
				links = u.Links
			}
		}
		return map[string]any{"ok": true, "links": links}, err
	})
}

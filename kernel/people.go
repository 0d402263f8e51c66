package kernel

import (
	"context"
	"time"

	"astrid/kernel/cap"
	"astrid/kernel/fault"
	"astrid/kernel/identity"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// people is the identity store as the operation table sees it.
type people struct {
	*identity.Store
	revoked func() // ends the connections of a token that was revoked
}

var _ op.Identity = people{}

// Users implements op.Identity.
func (p people) Users(context.Context, wire.None) ([]wire.User, error) { return p.Store.Users() }

// CreateUser implements op.Identity.
func (p people) CreateUser(_ context.Context, req wire.CreateUser) (wire.User, error) {
	return p.Store.CreateUser(req.Name, req.PublicKey)
}

// Link implements op.Identity.
func (p people) Link(_ context.Context, req wire.LinkUser) (wire.UserLink, error) {
	if req.Method == "" {
		req.Method = "admin"
	}
	return p.Store.Link(req.Platform, req.Account, req.User, req.Method)
}

// Unlink implements op.Identity.
func (p people) Unlink(_ context.Context, req wire.UnlinkUser) (wire.Removed, error) {
	existed, err := p.Store.Unlink(req.Platform, req.Account)
	return wire.Removed{Removed: existed}, err
}

// Tokens implements op.Identity.
func (p people) Tokens(context.Context, wire.None) ([]wire.TokenInfo, error) { return p.Store.Tokens() }

// MintToken implements op.Identity. A token can reach no further than who makes
// it: only the owner makes tokens of others.
func (p people) MintToken(ctx context.Context, req wire.MintToken) (wire.MintedToken, error) {
	u, err := p.Find(req.User)
	if err != nil {
		return wire.MintedToken{}, err
	}
	if c := op.CallerOf(ctx); u.ID != c.User && c.Principal != op.Owner {
		return wire.MintedToken{}, fault.New(fault.Denied, "only the owner of this kernel makes tokens of other users")
	}
	ttl, err := seconds(req.TTL)
	if err != nil {
		return wire.MintedToken{}, err
	}
	return p.Store.MintToken(u.ID, req.Session, req.Label, ttl)
}

// RevokeToken implements op.Identity.
func (p people) RevokeToken(_ context.Context, req wire.ByID) (wire.Removed, error) {
	existed, err := p.Store.RevokeToken(req.ID)
	if existed && err == nil {
		p.revoked()
	}
	return wire.Removed{Removed: existed}, err
}

// maxTTL bounds every time to live: ten years.
const maxTTL = 10 * 366 * 24 * time.Hour

// seconds turns a number of seconds into a duration; 0 stays 0.
func seconds(n float64) (time.Duration, error) {
	if !(n >= 0 && n <= maxTTL.Seconds()) {
		return 0, fault.New(fault.Usage, "%v is no number of seconds between 0 and %.0f", n, maxTTL.Seconds())
	}
	return time.Duration(n * float64(time.Second)), nil
}

// tokens is the store of capabilities as the operation table sees it.
type tokens struct {
	caps  *cap.Store
	users *identity.Store
}

var _ op.Capabilities = tokens{}

// List implements op.Capabilities.
func (t tokens) List(context.Context, wire.None) ([]wire.Capability, error) {
	infos, err := t.caps.List(cap.Filter{Dead: true})
	if err != nil {
		return nil, err
	}
	users, err := t.users.Users()
	if err != nil {
		return nil, err
	}
	list := make([]wire.Capability, 0, len(infos))
	for _, i := range infos {
		list = append(list, describe(i, users))
	}
	return list, nil
}

// describe is a token as people see it.
func describe(i cap.Info, users []wire.User) wire.Capability {
	c := wire.Capability{
		ID: string(i.Token.ID), Resource: i.Token.Resource, Scope: string(i.Token.Scope), Session: i.Session, State: string(i.State),
		Issued: i.Token.IssuedAt, Expires: i.Token.ExpiresAt, SingleUse: i.Token.SingleUse, Permissions: []string{},
	}
	for _, p := range i.Token.Permissions {
		c.Permissions = append(c.Permissions, string(p))
	}
	if parent, child := i.Token.Parent(); child {
		c.Parent = string(parent)
	}
	for _, u := range users {
		if capUser(u) == i.Token.User {
			c.User = u.ID
		}
	}
	return c
}

// Grant implements op.Capabilities. Who is not the owner hands on what it holds,
// and no more.
func (t tokens) Grant(ctx context.Context, req wire.GrantCapability) (wire.Capability, error) {
	grant, err := t.grant(req)
	if err != nil {
		return wire.Capability{}, err
	}
	if c := op.CallerOf(ctx); c.Principal != op.Owner {
		if err := t.holds(c.User, req.Parent); err != nil {
			return wire.Capability{}, err
		}
	}
	var token cap.Token
	if req.Parent == "" {
		token, err = t.caps.Mint(grant)
	} else {
		token, err = t.caps.Attenuate(cap.ID(req.Parent), grant)
	}
	if err != nil {
		return wire.Capability{}, err
	}
	users, err := t.users.Users()
	return describe(cap.Info{Token: token, Session: grant.Session, State: cap.Live}, users), err
}

// holds refuses who does not hold the token that it wants to attenuate.
func (t tokens) holds(user, parent string) error {
	u, err := t.users.Find(user)
	if err != nil {
		return err
	}
	if token, err := t.caps.Get(cap.ID(parent)); err != nil || token.User != capUser(u) {
		return fault.New(fault.Denied, "who is not the owner may only attenuate a capability of its own: name it as the parent")
	}
	return nil
}

// grant reads a request.
func (t tokens) grant(req wire.GrantCapability) (cap.Grant, error) {
	ttl, err := seconds(req.TTL)
	if err != nil {
		return cap.Grant{}, err
	}
	g := cap.Grant{Resource: req.Resource, SingleUse: req.SingleUse, Session: req.Until}
	if ttl > 0 {
		g.ExpiresAt = time.Now().Add(ttl)
	}
	for _, p := range req.Permissions {
		g.Permissions = append(g.Permissions, cap.Permission(p))
	}
	u, err := t.users.Find(req.User)
	g.User = capUser(u)
	return g, err
}

// Revoke implements op.Capabilities.
func (t tokens) Revoke(_ context.Context, req wire.RevokeCapability) (wire.Revoked, error) {
	sel := cap.Selector{ID: cap.ID(req.ID), Resource: req.Resource}
	if req.User != "" {
		u, err := t.users.Find(req.User)
		if err != nil {
			return wire.Revoked{}, err
		}
		sel.User = capUser(u)
	}
	ids, err := t.caps.Revoke(sel)
	revoked := wire.Revoked{Revoked: len(ids), IDs: make([]string, len(ids))}
	for i, id := range ids {
		revoked.IDs[i] = string(id)
	}
	return revoked, err
}

// Add implements op.Capabilities.
func (t tokens) Add(_ context.Context, req wire.AddCapability) (wire.Capability, error) {
	token, err := t.caps.Add(req.Token)
	if err != nil {
		return wire.Capability{}, err
	}
	users, err := t.users.Users()
	return describe(cap.Info{Token: token, State: cap.Live}, users), err
}

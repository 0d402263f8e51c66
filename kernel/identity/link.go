package identity

import (
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Resolve finds the user of an account: Kind NotFound when it is linked to
// nobody, or to a user who is gone.
func (t *Store) Resolve(platform, account string) (found wire.User, err error) {
	if platform, account, err = checkAccount(platform, account); err != nil {
		return found, err
	}
	err = t.space.Update(func(tx *store.Tx) error {
		var l link
		err := t.read(tx, linkKey(platform, account), &l)
		if err != nil {
			return err
		}
		u, err := t.find(tx, l.User)
		found = u.wire(nil)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return found, fault.New(fault.NotFound, "the account %q of %s is linked to nobody", account, platform)
	}
	return found, err
}

// Link makes an account that of a user (by id or name), or re-points it, unless
// it is the owner's own.
func (t *Store) Link(platform, account, who, method string) (made wire.UserLink, err error) {
	if platform, account, err = checkAccount(platform, account); err != nil {
		return made, err
	}
	if strings.TrimSpace(method) == "" {
		return made, fault.New(fault.Usage, "method must not be empty")
	}
	if err := checkText("method", method, MaxName); err != nil {
		return made, err
	}
	err = t.space.Update(func(tx *store.Tx) error {
		u, err := t.find(tx, who)
		if err != nil {
			return err
		}
		if platform == RootPlatform && account == RootAccount && u.ID != t.root {
			return errRootLink(platform, account)
		}
		made = wire.UserLink{Platform: platform, Account: account, User: u.ID, Linked: t.now(), Method: method}
		return t.write(tx, linkKey(platform, account), link(made))
	})
	return made, err
}

// EnsureLink is Link for the links of the configuration: a user of that name is
// made when there is none, and a link that says the same already stays as it is.
func (t *Store) EnsureLink(platform, account, who, method string) error {
	if u, err := t.Resolve(platform, account); err == nil && (u.ID == who || u.Name == who) {
		return nil
	}
	if _, err := wire.ParseUUID(who); err != nil {
		if _, err := t.CreateUser(who, nil); err != nil && !fault.Is(err, fault.Exists) {
			return err
		}
	}
	_, err := t.Link(platform, account, who, method)
	return err
}

// Unlink takes a link away and tells whether there was one. The owner's own link
// stays.
func (t *Store) Unlink(platform, account string) (existed bool, err error) {
	if platform, account, err = checkAccount(platform, account); err != nil {
		return false, err
	}
	if platform == RootPlatform && account == RootAccount {
		return false, errRootLink(platform, account)
	}
	return t.space.Delete(linkKey(platform, account))
}

func errRootLink(platform, account string) error {
	return fault.New(fault.Denied, "the link of %s/%s says who owns this kernel and stays", platform, account)
}

// checkAccount normalises a platform and an account.
func checkAccount(platform, account string) (string, string, error) {
	if err := checkText("platform", platform, MaxAccount); err != nil { // before ToLower mends it
		return "", "", err
	}
	platform = strings.ToLower(strings.TrimSpace(platform))
	for _, field := range []struct{ name, value string }{{"platform", platform}, {"platform_user_id", account}} {
		switch {
		case strings.TrimSpace(field.value) == "":
			return "", "", fault.New(fault.Usage, "%s must not be empty", field.name)
		case strings.Contains(field.value, "/"):
			return "", "", fault.New(fault.Usage, "%s must not contain '/'", field.name)
		}
		if err := checkText(field.name, field.value, MaxAccount); err != nil {
			return "", "", err
		}
	}
	return platform, account, nil
}

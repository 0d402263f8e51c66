package kernel

import (
	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// pinned is where it stands who publishes the capsules of an id: whoever signed the
// first signed one that was installed. It stays when the capsule is removed.
const pinned store.Namespace = "system:publishers"

// publishers are the publishers that are known by the ids of their capsules.
type publishers struct{ space *store.Space }

func openPublishers(s *store.Store) (publishers, error) {
	space, err := s.Space(pinned, store.SpaceOptions{Sync: true})
	return publishers{space}, err
}

// of is the publisher of an id; empty: none is known.
func (p publishers) of(id capsule.ID) (capsule.Publisher, error) {
	data, err := p.space.Get(string(id))
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return capsule.Publisher(data), err
}

// permit refuses a capsule that somebody else publishes than is known, or nobody.
func (p publishers) permit(in capsule.Installation) error {
	id := in.New.Package.Name
	known, err := p.of(id)
	switch {
	case err != nil || known == "" || known == in.Publisher:
		return err
	case in.Publisher == "":
		return fault.New(fault.Denied, "the capsule %s %s is not signed, and %s signed the one before: install one that its publisher has signed, or say astrid capsule install --new-publisher if you know why", id, in.New.Package.Version, known)
	}
	return fault.New(fault.Denied, "the capsule %s %s is signed by %s, and %s signed the one before: ask its publisher about the new key, and say astrid capsule install --new-publisher if it is right", id, in.New.Package.Version, in.Publisher, known)
}

// know makes a publisher that of an id; the empty one: nobody.
func (p publishers) know(id capsule.ID, who capsule.Publisher) error {
	known, err := p.of(id)
	if err != nil || known == who {
		return err
	}
	if who == "" {
		_, err = p.space.Delete(string(id))
		return err
	}
	return p.space.Set(string(id), []byte(who))
}

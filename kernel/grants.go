package kernel

import (
	"time"

	"astrid/kernel/capsule"
	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// granted is where it stands what people have granted to capsules, apart from
// what the capsules say of themselves.
const granted store.Namespace = "system:grants"

// grant is what somebody has granted to one capsule, with this content.
type grant struct {
	Rights    capsule.Rights
	Version   string
	Source    string // UUID of the id and the content; see capsule.SourceOf
	Principal string // who granted it
	At        time.Time
	Link      string // the directory with which it changes; empty: it does not
	Origin    origin // zero: it is of no workspace
}

// grants are the grants of all capsules.
type grants struct{ space *store.Space }

func openGrants(s *store.Store) (grants, error) {
	space, err := s.Space(granted, store.SpaceOptions{Sync: true})
	return grants{space}, err
}

// of finds what was granted to a capsule; what cannot be read is nothing.
func (g grants) of(id capsule.ID) (have grant, there bool, err error) {
	data, err := g.space.Get(string(id))
	switch {
	case fault.Is(err, fault.NotFound):
		return have, false, nil
	case err != nil:
		return have, false, err
	}
	if err := wire.Decode(data, &have); err != nil {
		return grant{}, false, fault.Wrap(fault.Internal, err, "read what was granted to the capsule %s", id)
	}
	return have, true, nil
}

// give grants a capsule what its manifest asks for. The grant says the rest.
func (g grants) give(f capsule.Found, rest grant) error {
	rest.Rights, rest.Version, rest.Source, rest.At = f.Rights(), f.Package.Version, f.Source, time.Now().UTC()
	data, err := wire.Encode(rest)
	if err != nil {
		return err
	}
	return g.space.Set(string(f.Package.Name), data)
}

// take takes back what was granted to a capsule.
func (g grants) take(id capsule.ID) error {
	_, err := g.space.Delete(string(id))
	return err
}

// permit implements capsule.Config.Permit: a capsule is loaded as it was when
// somebody agreed to it, and may do what both its manifest and the grant say.
func (g grants) permit(f capsule.Found) (capsule.Found, error) {
	if f.Listed != nil { // the owner has written it
		return f, nil
	}
	have, there, err := g.of(f.Package.Name)
	switch {
	case err != nil:
		return f, err
	case !there:
		return f, fault.New(fault.Denied, "nobody has agreed to it: astrid capsule trust %s shows what it asks for, and loads it", f.Package.Name)
	case have.Source != f.Source:
		return f, fault.New(fault.Denied, "its files are not those that were agreed to: astrid capsule trust %s agrees to them as they are", f.Package.Name)
	}
	if have.Origin.Dir != "" {
		if err := have.Origin.same(f.Package.Name); err != nil {
			return f, err
		}
	}
	f.Manifest, f.Workspace = f.Within(have.Rights), have.Origin.Base
	return f, nil
}

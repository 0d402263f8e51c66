package change

import "slices"

// regroup looks at new objects with regard to which names are one object: it
// marks their second and later names, and finds those that equal the base in
// everything but that. Preconditions: the list is sorted, and has what is the
// same too.
func (l *lister) regroup() {
	groups := map[uint64][]*Change{}
	var order []uint64
	for i := range l.out {
		c := &l.out[i]
		if c.Op == Deleted || c.IsDir() {
			continue
		}
		if _, stands := c.Origin(); stands {
			continue
		}
		if groups[c.Object.Ino] == nil {
			order = append(order, c.Object.Ino)
		}
		groups[c.Object.Ino] = append(groups[c.Object.Ino], c)
	}
	for _, ino := range order {
		regroupOne(groups[ino])
	}
}

// regroupOne is for all names of one object.
func regroupOne(names []*Change) {
	if !groupedAsBase(names) {
		for _, c := range names {
			if c.Op == Same || c.Op == Meta {
				c.Op, c.Links = Meta, true
			}
		}
	}
	first := -1
	for i, c := range names {
		switch {
		case c.Op == Same:
		case first < 0:
			first = i
		default:
			c.Link = names[first].Path
			if c.Op == Added || c.Op == Typed {
				c.Note = "link to " + Quote(c.Link)
			}
		}
	}
}

// groupedAsBase tells whether the base has these names, and no others, for one
// object too.
func groupedAsBase(names []*Change) bool {
	if len(names) == 1 && (names[0].Base == nil || names[0].Base.Nlink == 1) {
		return true
	}
	return !slices.ContainsFunc(names, func(c *Change) bool {
		return c.Op != Same && c.Op != Meta || c.Base.Ino != names[0].Base.Ino || int(c.Base.Nlink) != len(names)
	})
}

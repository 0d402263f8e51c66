package change

// linkNew marks the second and later names of one new object. Preconditions:
// the list is sorted.
func (l *lister) linkNew() {
	for i := range l.out {
		c := &l.out[i]
		if c.Op == Deleted || c.Op == Same || c.IsDir() || c.Link != "" {
			continue
		}
		if _, stands := c.Origin(); stands {
			continue
		}
		first, seen := l.first[c.Object.Ino]
		if !seen {
			l.first[c.Object.Ino] = c.Path
			continue
		}
		c.Link, c.Note = first, "link to "+Quote(first)
	}
}

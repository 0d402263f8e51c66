package bus

import "strings"

// trie finds the subscriptions whose patterns match a topic in a time that
// depends on the topic's length and not on their number.
type trie struct {
	next map[string]*trie           // by segment; "*" is any one
	here map[*Subscription]struct{} // patterns that end here
	deep map[*Subscription]struct{} // patterns whose last "*" stands for one or more from here on
}

func (t *trie) add(p Pattern, s *Subscription) {
	node, segments := t, p.segments
	if p.deep() {
		segments = segments[:len(segments)-1]
	}
	for _, segment := range segments {
		if node.next == nil {
			node.next = map[string]*trie{}
		}
		if node.next[segment] == nil {
			node.next[segment] = &trie{}
		}
		node = node.next[segment]
	}
	set := &node.here
	if p.deep() {
		set = &node.deep
	}
	if *set == nil {
		*set = map[*Subscription]struct{}{}
	}
	(*set)[s] = struct{}{}
}

// remove takes s away below t and tells whether t is empty then.
func (t *trie) remove(s *Subscription) bool {
	delete(t.here, s)
	delete(t.deep, s)
	for segment, child := range t.next {
		if child.remove(s) {
			delete(t.next, segment)
		}
	}
	return len(t.next) == 0 && len(t.here) == 0 && len(t.deep) == 0
}

// match calls found for each subscription that a topic's remaining segments
// reach; it may call it more than once for one.
func (t *trie) match(rest string, found func(*Subscription)) {
	if rest == "" {
		each(t.here, found)
		return
	}
	each(t.deep, found)
	segment, rest, _ := strings.Cut(rest, ".")
	if child := t.next[segment]; child != nil {
		child.match(rest, found)
	}
	if child := t.next["*"]; child != nil {
		child.match(rest, found)
	}
}

func each(set map[*Subscription]struct{}, found func(*Subscription)) {
	for s := range set {
		found(s)
	}
}

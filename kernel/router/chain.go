package router

import (
	"cmp"
	"context"
	"slices"

	"astrid/kernel/bus"
	"astrid/kernel/capsule"
)

// link is one capsule's part in a chain.
type link struct {
	id       capsule.ID
	source   string
	target   Target
	action   string
	priority int
	exact    bool                        // an interceptor of just this topic: it serves what is asked there
	bridge   func(context.Context, task) // the end of a chain; nil: an interceptor
}

// defaultPriority is that of an interceptor which says none.
const defaultPriority = 100

// chain is who gets a message, in order.
func (r *Router) chain(m *bus.Message) []link {
	chain := r.interceptors(m.Topic, m.Session, "")
	if end, ok := r.bridge(m); ok {
		own := func(l link) bool { return l.id == end.id && l.exact }
		if _, tool := cutTool(m.Topic); !tool || !slices.ContainsFunc(chain, own) {
			chain = append(chain, end)
		}
		return chain
	}
	if c, tool := toolCall(m); tool && !slices.ContainsFunc(chain, func(l link) bool { return l.exact }) {
		chain = append(chain, link{bridge: func(_ context.Context, t task) {
			r.settle(t.call, "", "no capsule that is loaded has the tool "+c.Tool, true)
		}})
	}
	return chain
}

// interceptors are those that match a topic and have to do with a session, but for
// one capsule's.
func (r *Router) interceptors(t bus.Topic, session string, not capsule.ID) (chain []link) {
	r.config.Capsules.Each(func(s capsule.Status, u capsule.Unit) bool {
		target, ok := u.(Target)
		if !ok || s.Package.Name == not {
			return true
		}
		for _, i := range s.Interceptors {
			p, err := bus.ParsePattern(i.Event)
			if err != nil || !p.Match(t) || !r.config.Concerns(s, session) {
				continue
			}
			l := link{id: s.Package.Name, source: s.Source, target: target, action: i.Action, priority: defaultPriority, exact: i.Event == string(t)}
			if i.Priority != nil {
				l.priority = *i.Priority
			}
			chain = append(chain, l)
		}
		return true
	})
	slices.SortStableFunc(chain, func(a, b link) int { return cmp.Compare(a.priority, b.priority) })
	return chain
}

package capsule

import (
	"slices"
	"strings"
)

// Rights are what a capsule may do, or asks to be allowed. The zero Rights are
// none.
type Rights struct {
	Capabilities Capabilities
	Events       []string // patterns of the messages that it intercepts
	Plans        []string // "SCHEDULE → ACTION"
	Endless      bool     // it runs all the time, and its calls have no time limit
}

// Rights are what the manifest asks for.
func (m *Manifest) Rights() Rights {
	r := Rights{Capabilities: m.Capabilities, Endless: m.Capabilities.Uplink || len(m.Uplinks) > 0 || len(m.Crons) > 0}
	for _, i := range m.Interceptors {
		r.Events = append(r.Events, i.Event)
	}
	for _, c := range m.Crons {
		r.Plans = append(r.Plans, c.plan())
	}
	return r
}

func (c Cron) plan() string { return c.Schedule + " → " + c.Action }

// Asks lists what the capsule may do, one sentence each.
func (m *Manifest) Asks() []string { return m.Rights().Beyond(Rights{}) }

// Beyond lists what r has and old has not, one sentence each.
func (r Rights) Beyond(old Rights) []string {
	asks := []string{}
	c, before := r.Capabilities, old.Capabilities
	for _, row := range []struct {
		what     string
		now, was []string
	}{
		{"read files: ", c.FSRead, before.FSRead}, {"write files: ", c.FSWrite, before.FSWrite}, {"reach hosts: ", c.Net, before.Net},
		{"run programs: ", c.HostProcess, before.HostProcess}, {"publish on: ", c.IPCPublish, before.IPCPublish},
		{"see, change and refuse the messages: ", r.Events, old.Events}, {"hear: ", c.IPCSubscribe, before.IPCSubscribe},
		{"deal with users: ", c.Identity, before.Identity}, {"accept connections: ", c.NetBind, before.NetBind}, {"act at times: ", r.Plans, old.Plans},
	} {
		fresh := slices.DeleteFunc(slices.Clone(row.now), func(s string) bool { return slices.Contains(row.was, s) })
		if len(fresh) > 0 {
			asks = append(asks, row.what+strings.Join(fresh, ", "))
		}
	}
	if r.Endless && !old.Endless {
		asks = append(asks, "run all the time, without a time limit")
	}
	if c.PromptInjection && !before.PromptInjection {
		asks = append(asks, "put text into the prompts of others")
	}
	return asks
}

// Within is the manifest with what it asks for and r has, and nothing else.
func (m Manifest) Within(r Rights) Manifest {
	c, may := m.Capabilities, r.Capabilities
	both := func(asked, granted []string) []string {
		return slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !slices.Contains(granted, s) })
	}
	m.Capabilities = Capabilities{
		Uplink: c.Uplink && may.Uplink, PromptInjection: c.PromptInjection && may.PromptInjection,
		Net: both(c.Net, may.Net), KV: both(c.KV, may.KV), FSRead: both(c.FSRead, may.FSRead), FSWrite: both(c.FSWrite, may.FSWrite),
		HostProcess: both(c.HostProcess, may.HostProcess), NetBind: both(c.NetBind, may.NetBind),
		IPCPublish: both(c.IPCPublish, may.IPCPublish), IPCSubscribe: both(c.IPCSubscribe, may.IPCSubscribe), Identity: both(c.Identity, may.Identity),
	}
	m.Interceptors = slices.DeleteFunc(slices.Clone(m.Interceptors), func(i Interceptor) bool { return !slices.Contains(r.Events, i.Event) })
	m.Crons = slices.DeleteFunc(slices.Clone(m.Crons), func(p Cron) bool { return !r.Endless || !slices.Contains(r.Plans, p.plan()) })
	if !r.Endless {
		m.Uplinks = nil
	}
	return m
}

package capsule

import (
	"slices"
	"strings"
)

// Asks lists what the capsule may do, one sentence each.
func (m *Manifest) Asks() []string { return m.beyond(&Manifest{}) }

// events are the patterns of the messages that it intercepts.
func (m *Manifest) events() (all []string) {
	for _, i := range m.Interceptors {
		all = append(all, i.Event)
	}
	return all
}

// beyond lists what m asks for and old did not, one sentence each.
func (m *Manifest) beyond(old *Manifest) []string {
	asks := []string{}
	c, before := m.Capabilities, old.Capabilities
	for _, row := range []struct {
		what     string
		now, was []string
	}{
		{"read files: ", c.FSRead, before.FSRead}, {"write files: ", c.FSWrite, before.FSWrite}, {"reach hosts: ", c.Net, before.Net},
		{"run programs: ", c.HostProcess, before.HostProcess}, {"publish on: ", c.IPCPublish, before.IPCPublish},
		{"see, change and refuse the messages: ", m.events(), old.events()}, {"hear: ", c.IPCSubscribe, before.IPCSubscribe}, {"deal with users: ", c.Identity, before.Identity}, {"accept connections: ", c.NetBind, before.NetBind},
	} {
		fresh := slices.DeleteFunc(slices.Clone(row.now), func(s string) bool { return slices.Contains(row.was, s) })
		if len(fresh) > 0 {
			asks = append(asks, row.what+strings.Join(fresh, ", "))
		}
	}
	if c.Uplink && !before.Uplink {
		asks = append(asks, "run all the time, without a time limit")
	}
	if c.PromptInjection && !before.PromptInjection {
		asks = append(asks, "put text into the prompts of others")
	}
	return asks
}

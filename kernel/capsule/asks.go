package capsule

import (
	"slices"
	"strings"
)

// Asks lists what the capsule may do, one sentence each.
func (c Capabilities) Asks() []string { return c.beyond(Capabilities{}) }

// beyond lists what c asks for and before did not, one sentence each.
func (c Capabilities) beyond(before Capabilities) []string {
	asks := []string{}
	for _, row := range []struct {
		what     string
		now, was []string
	}{
		{"read files: ", c.FSRead, before.FSRead}, {"write files: ", c.FSWrite, before.FSWrite}, {"reach hosts: ", c.Net, before.Net},
		{"run programs: ", c.HostProcess, before.HostProcess}, {"publish on: ", c.IPCPublish, before.IPCPublish},
		{"hear: ", c.IPCSubscribe, before.IPCSubscribe}, {"deal with users: ", c.Identity, before.Identity}, {"accept connections: ", c.NetBind, before.NetBind},
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

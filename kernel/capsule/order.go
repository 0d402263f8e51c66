package capsule

import (
	"slices"
	"strings"

	"astrid/kernel/bus"
)

// Order puts capsules into the order in which they are loaded.
func Order(found []Found) (ordered []Found, problems []Problem) {
	before := make([][]int, len(found)) // who must be loaded before
	for i := range found {
		for _, need := range found[i].Dependencies.Requires {
			providers := providersOf(found, i, need)
			if len(providers) == 0 {
				problems = append(problems, Problem{found[i].Dir, "nobody provides " + need + ", which the capsule " + string(found[i].Package.Name) + " requires"})
			}
			before[i] = append(before[i], providers...)
		}
	}
	sequence, cycle := sequence(before)
	if len(cycle) > 0 {
		names := make([]string, len(cycle))
		for i, n := range cycle {
			names[i] = string(found[n].Package.Name)
		}
		problems = append(problems, Problem{"", "the capsules " + strings.Join(names, ", ") + " require each other in a circle: they are loaded in the order in which they were found"})
		sequence = identity(len(found))
	}
	for _, uplink := range []bool{true, false} {
		for _, i := range sequence {
			if found[i].Capabilities.Uplink == uplink {
				ordered = append(ordered, found[i])
			}
		}
	}
	return ordered, problems
}

// providersOf are the capsules beside the one that needs it that provide what
// is needed; any of them is enough, and all come before.
func providersOf(found []Found, needer int, need string) (all []int) {
	for i := range found {
		if i != needer && slices.ContainsFunc(found[i].Provides(), func(p string) bool { return satisfies(p, need) }) {
			all = append(all, i)
		}
	}
	return all
}

// satisfies tells whether what is provided is what is needed.
func satisfies(provided, needed string) bool {
	kind, body, _ := strings.Cut(provided, ":")
	wanted, pattern, _ := strings.Cut(needed, ":")
	if kind != wanted {
		return false
	}
	offer, err := bus.ParsePattern(body)
	if err != nil {
		return false
	}
	need, err := bus.ParsePattern(pattern)
	return err == nil && (need.Covers(offer) || offer.Covers(need))
}

// sequence orders 0…n-1 so that each comes after those before it, as close to
// its own place as that lets it. cycle is what cannot be ordered.
func sequence(before [][]int) (order, cycle []int) {
	done := make([]bool, len(before))
	ready := func(i int) bool {
		return !done[i] && !slices.ContainsFunc(before[i], func(j int) bool { return !done[j] })
	}
	for len(order) < len(before) {
		next := slices.IndexFunc(identity(len(before)), ready)
		if next < 0 {
			break
		}
		done[next] = true
		order = append(order, next)
	}
	for i := range done {
		if !done[i] {
			cycle = append(cycle, i)
		}
	}
	return order, cycle
}

func identity(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

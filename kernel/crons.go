package kernel

import (
	"context"
	"sync"

	"github.com/robfig/cron/v3"

	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/fault"
)

// maxCrons is how many plans one capsule has.
const maxCrons = 64

// crons are the plans of all capsules. Schedules are those of cron: five fields,
// or @hourly, @every 5m and the like.
type crons struct {
	k    *Kernel
	cron *cron.Cron

	mu    sync.Mutex
	plans map[capsule.ID]map[string]cron.EntryID
}

func newCrons(k *Kernel) *crons {
	c := &crons{k: k, cron: cron.New(), plans: map[capsule.ID]map[string]cron.EntryID{}}
	c.cron.Start()
	return c
}

// schedule plans an action of a capsule, in the place of an earlier plan of the
// name.
func (c *crons) schedule(id capsule.ID, name, schedule, action string) error {
	plan, err := cron.ParseStandard(schedule)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "the schedule %.64q of %.64q", schedule, name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	plans := c.plans[id]
	if plans == nil {
		plans = map[string]cron.EntryID{}
		c.plans[id] = plans
	}
	if old, there := plans[name]; there {
		c.cron.Remove(old)
	} else if len(plans) >= maxCrons {
		return fault.New(fault.Limit, "the capsule %s has %d plans already", id, maxCrons)
	}
	plans[name] = c.cron.Schedule(plan, cron.FuncJob(func() { c.fire(id, action) }))
	return nil
}

// fire runs an action whose time has come.
func (c *crons) fire(id capsule.ID, action string) {
	c.k.Capsules.Each(func(s capsule.Status, u capsule.Unit) bool {
		target, ok := u.(*unit)
		if !ok || s.Package.Name != id {
			return true
		}
		ctx := host.WithCaller(context.Background(), host.Caller{Topic: "cron"})
		if _, err := target.call(ctx, "astrid_cron_trigger", action, nil); err != nil {
			c.k.config.Log.Warn("a plan of a capsule failed", "capsule", id, "action", action, "err", err)
		}
		return false
	})
}

func (c *crons) cancel(id capsule.ID, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	plan, there := c.plans[id][name]
	if !there {
		return fault.New(fault.NotFound, "the capsule %s has no plan %.64q", id, name)
	}
	c.cron.Remove(plan)
	delete(c.plans[id], name)
	return nil
}

// forget drops the plans of a capsule.
func (c *crons) forget(id capsule.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, plan := range c.plans[id] {
		c.cron.Remove(plan)
	}
	delete(c.plans, id)
}

// close ends all plans and returns after the last action.
func (c *crons) close() { <-c.cron.Stop().Done() }

package question

import (
	"context"
	"slices"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Bounds of a Desk.
const (
	MaxWaiting = 64
	Timeout    = 2 * time.Minute // as in 0.2
)

// Question is what people are asked. ID, Asked and Expires are the Desk's to set.
type Question struct {
	ID        string
	Message   string
	Form      Form
	Capsule   string
	Principal string // id of the user on whose behalf
	Session   string // empty: about none
	Asked     time.Time
	Expires   time.Time
}

// End is how a question ended. The zero End is none yet.
type End string

// The ends.
const (
	Accepted  End = "accept"
	Declined  End = "decline"
	TimedOut  End = "timeout"
	Withdrawn End = "cancel" // nobody wants to know any more
)

// Config is what a Desk works with. All but Now must be there.
type Config struct {
	// Announce tells clients of a question, or of its end.
	Announce func(q Question, end End)
	// Record puts it into the audit log; by is the id of the user who answered.
	Record func(ctx context.Context, q Question, end End, by string) error
	Now    func() time.Time
}

// Desk is where questions wait. Its methods may be called from any goroutine.
type Desk struct {
	config  Config
	closing chan struct{} // closed by Close

	mu      sync.Mutex
	closed  string              // why; empty while open. Guarded by mu
	waiting map[string]*waiting // guarded by mu
}

// waiting is a question that somebody waits for.
type waiting struct {
	Question
	answer chan Answer // capacity 1
}

// Answer is what came of a question. The zero Answer declines.
type Answer struct {
	End     End
	Content map[string]any // of one that is Accepted; fits the schema
}

// New makes a Desk.
func New(c Config) *Desk {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Desk{config: c, closing: make(chan struct{}), waiting: map[string]*waiting{}}
}

// Close withdraws every question, and refuses others, with Kind Unavailable. The
// first reason given is the one that is told.
func (d *Desk) Close(why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed == "" {
		d.closed = why
		close(d.closing)
	}
}

// Ask asks and waits, at most for Timeout. An error is only for what could not be
// asked, and for an asker who is gone.
func (d *Desk) Ask(ctx context.Context, q Question) (Answer, error) {
	q.ID, q.Asked, q.Message = wire.NewUUID(), d.config.Now().UTC(), tame(q.Message)
	q.Expires = q.Asked.Add(Timeout)
	w, err := d.enter(q)
	if err != nil {
		return Answer{}, err
	}
	if err := d.config.Record(ctx, q, "", ""); err != nil {
		d.leave(q.ID)
		return Answer{}, err
	}
	d.config.Announce(q, "")
	return d.wait(ctx, w)
}

func (d *Desk) enter(q Question) (*waiting, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed != "":
		return nil, fault.New(fault.Unavailable, "nobody is asked: the kernel is stopping (%s)", d.closed)
	case len(d.waiting) >= MaxWaiting:
		return nil, fault.New(fault.Limit, "%d questions wait for an answer already; astrid answer lists them", len(d.waiting))
	}
	w := &waiting{Question: q, answer: make(chan Answer, 1)}
	d.waiting[q.ID] = w
	return w, nil
}

// leave takes a question from those that wait; nil when it was answered.
func (d *Desk) leave(id string) *waiting {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.waiting[id]
	delete(d.waiting, id)
	return w
}

func (d *Desk) wait(ctx context.Context, w *waiting) (Answer, error) {
	timer := time.NewTimer(Timeout)
	defer timer.Stop()
	end := Withdrawn
	select {
	case a := <-w.answer:
		return a, nil
	case <-timer.C:
		end = TimedOut
	case <-d.closing:
	case <-ctx.Done():
	}
	if d.leave(w.ID) == nil { // answered in this very moment
		return <-w.answer, nil
	}
	d.config.Announce(w.Question, end)
	err := d.config.Record(context.WithoutCancel(ctx), w.Question, end, "")
	if err == nil && ctx.Err() != nil {
		err = fault.Wrap(fault.Interrupted, ctx.Err(), "the question was withdrawn")
	}
	return Answer{End: end}, err
}

// Answer answers a question, or declines it: Kind NotFound when none of that id
// waits. by is the id of the user who answers.
func (d *Desk) Answer(ctx context.Context, r wire.AnswerQuestion, by string) error {
	q, ok := d.find(r.ID)
	if !ok {
		return gone(r.ID)
	}
	a := Answer{End: Declined}
	if !r.Decline {
		content, err := q.Form.read(r)
		if err != nil {
			return err
		}
		a = Answer{End: Accepted, Content: content}
	}
	w := d.leave(r.ID)
	if w == nil {
		return gone(r.ID)
	}
	err := d.config.Record(ctx, q, a.End, by)
	if err != nil { // what cannot be recorded is not told
		a = Answer{End: Declined}
	}
	w.answer <- a
	d.config.Announce(q, a.End)
	return err
}

func gone(id string) error {
	return fault.New(fault.NotFound, "no question %.64q waits for an answer; astrid answer lists those that do", id)
}

func (d *Desk) find(id string) (Question, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.waiting[id]
	if w == nil {
		return Question{}, false
	}
	return w.Question, true
}

// SessionOf is the session that a question is about, empty when it is about none
// or there is no such question.
func (d *Desk) SessionOf(id string) string {
	q, _ := d.find(id)
	return q.Session
}

// Pending lists what waits, oldest first.
func (d *Desk) Pending() (list []Question) {
	d.mu.Lock()
	for _, w := range d.waiting {
		list = append(list, w.Question)
	}
	d.mu.Unlock()
	slices.SortFunc(list, func(a, b Question) int { return a.Asked.Compare(b.Asked) })
	return list
}

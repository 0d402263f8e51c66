package cap

import "time"

// index finds the tokens of one user without looking at those of the others, and
// remembers what was asked: the bus asks the same question for every message. Its
// methods want Store.mu held.
type index struct {
	all    map[ID]*entry
	byUser map[UserID]map[ID]*entry

	// answers are the tokens that find chose, nil for none. A change of any token
	// empties it. Time alone makes no token live, so a nil stays right, and a token
	// that still counts is still the best one.
	answers map[question]*entry
}

type question struct {
	user     UserID
	perm     Permission
	resource string
}

// maxAnswers bounds the answers; at that number they are forgotten.
const maxAnswers = 1024

func newIndex() index {
	return index{all: map[ID]*entry{}, byUser: map[UserID]map[ID]*entry{}, answers: map[question]*entry{}}
}

func (x *index) put(e *entry) {
	x.drop(e.token.ID)
	x.all[e.token.ID] = e
	own := x.byUser[e.token.User]
	if own == nil {
		own = map[ID]*entry{}
		x.byUser[e.token.User] = own
	}
	own[e.token.ID] = e
}

func (x *index) drop(id ID) {
	x.changed()
	e := x.all[id]
	if e == nil {
		return
	}
	delete(x.all, id)
	own := x.byUser[e.token.User]
	if delete(own, id); len(own) == 0 {
		delete(x.byUser, e.token.User)
	}
}

// changed must be called when a token was revoked or used.
func (x *index) changed() { clear(x.answers) }

func (x *index) remember(q question, e *entry) {
	if len(x.answers) >= maxAnswers {
		clear(x.answers)
	}
	x.answers[q] = e
}

// answeredLocked is the answer to q, if it is known and still right.
//
// Preconditions: s.mu is held.
func (s *Store) answeredLocked(q question, now time.Time) (e *entry, known bool) {
	e, known = s.index.answers[q]
	if e == nil || s.stateLocked(e, now) == Live {
		return e, known
	}
	return nil, false
}

// Package bus carries messages between the parts of the kernel, its capsules
// and its clients: publishers name a topic, subscribers name patterns.
//
// # Topics
//
// A topic is one to MaxSegments segments joined by dots, at most MaxTopic bytes.
// In a pattern a segment "*" stands for any one segment; as the last of several
// it stands for one or more. That is the only matcher: what may be subscribed
// to, what may be published and what is delivered are decided by it, so that
// nothing is delivered which the permission did not cover (see Pattern.Covers).
//
// # What a subscriber may rely on
//
// Publish numbers messages from 1 without a gap. Two messages on one topic
// arrive in the order of their numbers. Messages of urgent topics (answers,
// approvals; see Urgent) have a queue of their own, so that no flood of other
// messages can evict them, and overtake the others, unless Options.Ordered says
// that they must not.
//
// Publish never blocks. A subscriber that does not read loses the oldest
// messages of its queue, which is bounded in messages and bytes; what it lost is
// counted exactly and told with the next message it takes. Nobody else loses
// anything by that.
//
// Subscribe with Since replays what the bus still remembers after that number
// before anything new, without a gap or a double between the two. What it no
// longer remembers is told as a range of numbers.
//
// A message may be about one session and on behalf of one principal. The bus
// does not judge: a door that shows messages to others gives Subscribe a filter,
// which runs on the publisher's goroutine and must be quick and not call the bus.
//
// # Locks
//
//	Bus.mu
//	└── Subscription.mu   a leaf
//
// Filters run under Bus.mu.
package bus

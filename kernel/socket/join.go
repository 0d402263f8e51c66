package socket

import (
	"context"

	"astrid/kernel/bus"
	"astrid/kernel/wire"
)

// maxJoined bounds the text of one joined message, in bytes.
const maxJoined = 64 << 10

// joiner takes messages from a subscription and, while the client lags, joins
// neighbours that are pieces of one stream of text.
type joiner struct {
	sub     *bus.Subscription
	lagging func() bool

	ahead     *bus.Message // taken while looking for more to join
	aheadLoss bus.Loss
}

// delta is a piece of text of an agent.
type delta struct {
	Text    string `json:"text"`
	Final   bool   `json:"is_final"`
	Session string `json:"session_id"`
}

func (j *joiner) next(ctx context.Context) (bus.Message, bus.Loss, error) {
	m, loss, err := j.take(ctx)
	if err != nil || m.Topic != topicDelta || !j.lagging() {
		return m, loss, err
	}
	first, ok := deltaOf(m)
	for joined := false; ok; joined = true {
		next, lost, err := j.sub.TryNext()
		if next == nil || err != nil {
			return finished(m, first, joined), loss, nil
		}
		more, same := deltaOf(*next)
		same = same && next.Topic == m.Topic && next.Source == m.Source && next.Principal == m.Principal && more.Session == first.Session
		if !same || lost.Any() || len(first.Text)+len(more.Text) > maxJoined {
			j.ahead, j.aheadLoss = next, lost
			return finished(m, first, joined), loss, nil
		}
		first.Text += more.Text
	}
	return m, loss, nil
}

// take returns what was taken too early, else waits for a message.
func (j *joiner) take(ctx context.Context) (bus.Message, bus.Loss, error) {
	if j.ahead == nil {
		return j.sub.Next(ctx)
	}
	m, loss := *j.ahead, j.aheadLoss
	j.ahead, j.aheadLoss = nil, bus.Loss{}
	return m, loss, nil
}

// deltaOf reads a piece that is not the last.
func deltaOf(m bus.Message) (d delta, ok bool) {
	ok = wire.PayloadType(m.Payload) == wire.TypeAgentResponse && wire.Decode(m.Payload, &d) == nil && !d.Final
	return d, ok
}

// finished is m with the text of all that was joined.
func finished(m bus.Message, d delta, joined bool) bus.Message {
	if !joined {
		return m
	}
	if payload, err := wire.NewPayload(wire.TypeAgentResponse, d); err == nil {
		m.Payload = payload
	}
	return m
}

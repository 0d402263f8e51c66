package bus

// queue is a FIFO of messages that knows its bytes.
type queue struct {
	list  []*Message
	head  int
	bytes int
}

func (q *queue) len() int { return len(q.list) - q.head }

func (q *queue) first() *Message { return q.list[q.head] }

func (q *queue) push(m *Message) {
	if q.head > len(q.list)/2 && len(q.list) == cap(q.list) { // use the room of what was taken
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, m)
	q.bytes += m.size()
}

func (q *queue) pop() *Message {
	m := q.list[q.head]
	q.list[q.head] = nil
	q.head++
	q.bytes -= m.size()
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return m
}

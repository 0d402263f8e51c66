package bus

// past is what the bus remembers for subscribers that come later: the last
// messages, bounded in number and bytes.
type past struct {
	messages, bytes int // bounds

	ring      []*Message // oldest first from head, len(ring) ≤ messages
	head      int
	size      int    // bytes held
	held      int    // messages held
	forgotten uint64 // number of the last message that was kept and is no more
}

func (p *past) add(m *Message) {
	size := m.size()
	for p.held > 0 && (p.held == p.messages || p.size+size > p.bytes) {
		p.drop()
	}
	if size > p.bytes {
		p.forgotten = m.Seq
		return
	}
	if p.ring == nil {
		p.ring = make([]*Message, p.messages)
	}
	p.ring[(p.head+p.held)%len(p.ring)] = m
	p.held++
	p.size += size
}

func (p *past) drop() {
	m := p.ring[p.head]
	p.size -= m.size()
	p.forgotten = m.Seq
	p.ring[p.head] = nil
	p.head = (p.head + 1) % len(p.ring)
	p.held--
}

// since calls f for the messages kept after number seq, oldest first.
func (p *past) since(seq uint64, f func(*Message)) {
	for i := range p.held {
		if m := p.ring[(p.head+i)%len(p.ring)]; m.Seq > seq {
			f(m)
		}
	}
}

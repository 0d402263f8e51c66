package meta

import (
	"astrid/overlay/layer"
)

// apply makes the facts of one payload true in memory. base is the payload's
// offset in the file. It is used by replay and by Commit alike.
func (l *Layer) apply(p []byte, base int64) error {
	r := &reader{p: p, base: base}
	for r.at < len(r.p) && r.err == nil {
		if err := l.fact(r); err != nil {
			return err
		}
	}
	return r.err
}

func (l *Layer) fact(r *reader) error {
	switch r.byte() {
	case factPut:
		l.put(r.rec())
	case factDrop:
		delete(l.Recs, r.u())
	case factEnter:
		dir, name := r.u(), r.str()
		e := Entry{Ino: r.u(), Kind: uint32(r.u()), Birth: r.u()}
		l.delta(dir).Own[name] = e
		l.Birth = max(l.Birth, e.Birth+1)
	case factLeave:
		dir := r.u()
		delete(l.delta(dir).Own, r.str())
		l.tidy(dir)
	case factHide:
		l.delta(r.u()).Gone[r.str()] = nil
	case factBury:
		dir, name := r.u(), r.str()
		l.delta(dir).Gone[name] = r.grave()
	case factShow:
		dir := r.u()
		delete(l.delta(dir).Gone, r.str())
		l.tidy(dir)
	case factTouch:
		return l.touch(r.u(), r.i(), int32(r.i()))
	case factWrite:
		ino, off, time := r.u(), int64(r.u()), r.i()
		data, at := r.slice()
		return l.write(ino, off, time, data, at)
	case factResize:
		return l.resize(r.u(), int64(r.u()), r.i())
	case factBlob:
		h := r.hash()
		_, l.Blobs[h] = r.slice()
	case factAlias:
		k := r.key()
		l.alias(k, r.u())
	case factFolded:
		l.LastFold = max(l.LastFold, r.u())
	case factAttr:
		return l.attr(r)
	case factXattrs:
		x := l.Recs[r.u()]
		m := r.xattrs()
		if x == nil || x.Own&OwnXattrs == 0 {
			return ErrFormat
		}
		x.Xattrs = m
	case factClear:
		delete(l.Dirs, r.u())
	case factSeal:
		l.Sealed = max(l.Sealed, r.u())
	case factMoved:
		from := r.str()
		if l.Moved == nil {
			l.Moved = map[string]string{}
		}
		l.Moved[from] = r.str()
	case factNext:
		l.NextIno, l.NextData, l.Birth = max(l.NextIno, r.u()), max(l.NextData, r.u()), max(l.Birth, r.u())
	default:
		return ErrFormat
	}
	return r.err
}

func (l *Layer) delta(dir uint64) *Delta {
	d := l.Dirs[dir]
	if d == nil {
		d = &Delta{Own: map[string]Entry{}, Gone: map[string]*Grave{}}
		l.Dirs[dir] = d
	}
	return d
}

func (l *Layer) tidy(dir uint64) {
	if d := l.Dirs[dir]; d != nil && d.Empty() {
		delete(l.Dirs, dir)
	}
}

func (l *Layer) put(x *Rec) {
	if x.Ino&OwnBit != 0 {
		l.NextIno = max(l.NextIno, x.Ino&^OwnBit+1)
	}
	if x.Where == Data {
		l.NextData = max(l.NextData, x.DataID+1)
	}
	if old := l.Recs[x.Ino]; old != nil {
		*old = *x
		return
	}
	l.Recs[x.Ino] = x
}

// alias counts the number as given out: it may be the only trace of it.
func (l *Layer) alias(k layer.Key, ino uint64) {
	l.Aliases[k] = ino
	if ino&OwnBit != 0 {
		l.NextIno = max(l.NextIno, ino&^OwnBit+1)
	}
}

func (l *Layer) attr(r *reader) error {
	x := l.Recs[r.u()]
	if x == nil {
		return ErrFormat
	}
	x.Own, x.Mode, x.UID, x.GID = uint8(r.u()), uint32(r.u()), uint32(r.u()), uint32(r.u())
	x.Atime, x.Mtime, x.Ctime = r.i(), r.i(), r.i()
	x.Nlink = int32(r.i())
	return r.err
}

func (l *Layer) touch(ino uint64, time int64, nlink int32) error {
	x := l.Recs[ino]
	if x == nil {
		return ErrFormat
	}
	x.Own |= OwnTimes
	x.Mtime, x.Ctime = time, time
	x.Nlink += nlink
	return nil
}

func (l *Layer) write(ino uint64, off, time int64, data []byte, at Slice) error {
	x := l.Recs[ino]
	end := off + int64(len(data))
	if x == nil || x.Where != Inline || off < 0 || off > MaxInline || end > MaxInline {
		return ErrFormat
	}
	x.Mtime, x.Ctime = time, time
	if off == 0 && end >= x.Size {
		x.Bytes, x.Slice, x.Size = nil, at, end
		return nil
	}
	if err := l.materialize(x, int(end)); err != nil {
		return err
	}
	copy(x.Bytes[off:], data)
	x.Size = max(x.Size, end)
	return nil
}

// materialize takes x's bytes into memory, at least want of them.
func (l *Layer) materialize(x *Rec, want int) error {
	if x.Bytes == nil {
		b := make([]byte, x.Slice.N, max(want, int(x.Slice.N)))
		if _, err := l.ReadSlice(b, x.Slice, 0); err != nil {
			return err
		}
		x.Bytes, x.Slice = b, Slice{}
	}
	for len(x.Bytes) < want {
		x.Bytes = append(x.Bytes, make([]byte, want-len(x.Bytes))...)
	}
	return nil
}

func (l *Layer) resize(ino uint64, size, time int64) error {
	x := l.Recs[ino]
	if x == nil || x.Where != Inline || size < 0 || size > MaxInline {
		return ErrFormat
	}
	x.Mtime, x.Ctime = time, time
	x.Size = size
	x.Slice.N = min(x.Slice.N, int32(size))
	if x.Bytes != nil && int64(len(x.Bytes)) > size {
		x.Bytes = x.Bytes[:size:size]
	}
	return nil
}

package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// How bolt lays a file out, in the machine's byte order. It is that of
// version 2 of its format.
const (
	pageHeader   = 16 // id 8, flags 2, count 2, overflow 4
	elementSize  = 16 // branch: position 4, key size 4, page 8; leaf: flags, position, key size, value size
	bucketHeader = 16 // root page 8, sequence 8
	metaSize     = 64 // magic 4, version 4, page size 4, flags 4, root 16, freelist 8, pages 8, transaction 8, checksum 8
	metaMagic    = 0xED0CDAED
	metaVersion  = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01 // of a leaf's element

	minPage, maxPage = 1 << 10, 1 << 16
)

// A meta is a header page: one state of the file.
type meta struct {
	pageSize    uint32
	root        uint64 // page of the tree of buckets
	freelist    uint64 // page of the list of free pages
	pages       uint64 // how many the file has
	transaction uint64
}

// A page is one page of the file with its overflow, or the inline one of a small
// bucket.
type page struct {
	name  string
	flags uint16
	count int
	data  []byte // from its header on
}

// newestMeta returns the header that bolt would use.
func newestMeta(f io.ReaderAt) (newest meta, ok bool) {
	first, ok := readMeta(f, 0)
	if ok {
		newest = first
		if second, ok := readMeta(f, int64(first.pageSize)); ok && second.transaction > first.transaction {
			newest = second
		}
		return newest, true
	}
	for size := int64(minPage); size <= maxPage; size *= 2 {
		if m, ok := readMeta(f, size); ok && int64(m.pageSize) == size {
			return m, true
		}
	}
	return meta{}, false
}

// readMeta returns the header at an offset, if it is intact.
func readMeta(f io.ReaderAt, offset int64) (meta, bool) {
	b := make([]byte, metaSize)
	if n, _ := f.ReadAt(b, offset+pageHeader); n < len(b) {
		return meta{}, false
	}
	order := binary.NativeEndian
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	m := meta{
		pageSize:    order.Uint32(b[8:]),
		root:        order.Uint64(b[16:]),
		freelist:    order.Uint64(b[32:]),
		pages:       order.Uint64(b[40:]),
		transaction: order.Uint64(b[48:]),
	}
	intact := order.Uint32(b) == metaMagic && order.Uint32(b[4:]) == metaVersion && order.Uint64(b[56:]) == h.Sum64()
	return m, intact && m.pageSize >= minPage && m.pageSize <= maxPage && m.pageSize&(m.pageSize-1) == 0
}

// newPage reads the header in data.
func newPage(name string, data []byte) *page {
	order := binary.NativeEndian
	return &page{name: name, flags: order.Uint16(data[8:]), count: int(order.Uint16(data[10:])), data: data}
}

// An element is a key of a page, and where it leads.
type element struct {
	flags uint32
	child uint64
	key   []byte
	value []byte
}

// elements returns what p has. bolt writes keys and values one after another
// behind the elements: only so is a page taken.
func (p *page) elements() ([]element, error) {
	order := binary.NativeEndian
	at := uint64(pageHeader + p.count*elementSize) // of the next key
	if at > uint64(len(p.data)) {
		return nil, fmt.Errorf("%s: %d elements do not fit", p.name, p.count)
	}
	list := make([]element, p.count)
	for i := range list {
		e := &list[i]
		offset := uint64(pageHeader + i*elementSize)
		b := p.data[offset:]
		var position, size, rest uint64
		if p.flags == flagBranch {
			position, size, e.child = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint64(b[8:])
		} else {
			e.flags = order.Uint32(b)
			position, size, rest = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
		}
		end := at + size + rest
		if offset+position != at || size == 0 || end > uint64(len(p.data)) {
			return nil, fmt.Errorf("%s: element %d is out of place", p.name, i)
		}
		e.key, e.value = p.data[at:at+size], p.data[at+size:end]
		at = end
	}
	return list, nil
}

package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxDepth is more than a tree of maxFile bytes can have.
const maxDepth = 40

// A checker follows a bolt file as bolt would.
type checker struct {
	file io.ReaderAt
	meta
	taken []bool // pages that something refers to
}

// checkPath returns what is wrong with the file path. bolt trusts its pages: one
// that is damaged or missing makes it panic, fault or recurse without end, or
// hides entries. So all that it would follow is checked before it opens the
// file. What the entries hold is checked by their own sums.
func checkPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkFile(f, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// checkFile returns what is wrong with a file of size bytes.
func checkFile(f io.ReaderAt, size int64) error {
	if size > maxFile {
		return fmt.Errorf("it has %d bytes and a store has %d at most: it is no store", size, maxFile)
	}
	m, ok := newestMeta(f)
	if !ok {
		return errors.New("it has no intact header: it is no store, or it is corrupt; move it away and restore a backup")
	}
	if m.pages > uint64(size)/uint64(m.pageSize) {
		return corrupt("it has %d bytes and should have %d pages of %d", size, m.pages, m.pageSize)
	}
	c := &checker{file: f, meta: m, taken: make([]bool, m.pages)}
	if err := c.check(); err != nil {
		return corrupt("%v", err)
	}
	return nil
}

func (c *checker) check() error {
	if c.pages < 4 {
		return fmt.Errorf("%d pages", c.pages)
	}
	c.taken[0], c.taken[1] = true, true
	if err := c.tree(c.root, nil, nil, 0, true); err != nil {
		return err
	}
	return c.free()
}

// read returns the page id, and notes that it is taken.
func (c *checker) read(id uint64) (*page, error) {
	if id >= c.pages {
		return nil, fmt.Errorf("page %d of %d", id, c.pages)
	}
	header := make([]byte, pageHeader)
	if _, err := c.file.ReadAt(header, int64(id)*int64(c.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	order := binary.NativeEndian
	if is := order.Uint64(header); is != id {
		return nil, fmt.Errorf("page %d says that it is %d", id, is)
	}
	n := uint64(order.Uint32(header[12:])) + 1
	if n > c.pages-id {
		return nil, fmt.Errorf("page %d has %d pages, past the end", id, n)
	}
	for i := range n {
		if c.taken[id+i] {
			return nil, fmt.Errorf("page %d is used twice", id+i)
		}
		c.taken[id+i] = true
	}
	data := make([]byte, n*uint64(c.pageSize))
	if _, err := c.file.ReadAt(data, int64(id)*int64(c.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return newPage(fmt.Sprintf("page %d", id), data), nil
}

// inOrder checks that keys ascend, below high, and begin with low, by which bolt
// finds a page again in the one above; nil is no bound.
func inOrder(p *page, list []element, low, high []byte) error {
	if low != nil && (len(list) == 0 || !bytes.Equal(list[0].key, low)) {
		return fmt.Errorf("%s does not begin with its key", p.name)
	}
	for i, e := range list {
		if i > 0 && bytes.Compare(list[i-1].key, e.key) >= 0 || high != nil && bytes.Compare(e.key, high) >= 0 {
			return fmt.Errorf("%s: key %d is out of order", p.name, i)
		}
	}
	return nil
}

// tree checks the tree whose root is page id. That of the top holds the
// buckets.
func (c *checker) tree(id uint64, low, high []byte, depth int, top bool) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d is %d deep", id, depth)
	}
	p, err := c.read(id)
	if err != nil {
		return err
	}
	if p.flags == flagLeaf {
		return c.leaf(p, low, high, top)
	}
	if p.flags != flagBranch || p.count == 0 {
		return fmt.Errorf("%s: flags %#x, %d elements", p.name, p.flags, p.count)
	}
	list, err := p.elements()
	if err != nil {
		return err
	}
	if err := inOrder(p, list, low, high); err != nil {
		return err
	}
	for i, e := range list {
		end := high
		if i+1 < len(list) {
			end = list[i+1].key
		}
		if err := c.tree(e.child, e.key, end, depth+1, top); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a page of entries, at the top of buckets.
func (c *checker) leaf(p *page, low, high []byte, top bool) error {
	list, err := p.elements()
	if err != nil {
		return err
	}
	if err := inOrder(p, list, low, high); err != nil {
		return err
	}
	for i, e := range list {
		switch {
		case !top && e.flags == 0:
		case top && e.flags == flagBucket:
			if err := c.bucket(e); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: element %d has flags %#x", p.name, i, e.flags)
		}
	}
	return nil
}

// bucket checks the tree of a bucket. A small one is within its element.
func (c *checker) bucket(e element) error {
	if len(e.value) < bucketHeader {
		return fmt.Errorf("bucket %q of %d bytes", e.key, len(e.value))
	}
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return c.tree(root, nil, nil, 0, false)
	}
	data := e.value[bucketHeader:]
	if len(data) < pageHeader {
		return fmt.Errorf("bucket %q of %d bytes", e.key, len(e.value))
	}
	p := newPage(fmt.Sprintf("bucket %q", e.key), data)
	if p.flags != flagLeaf {
		return fmt.Errorf("%s: flags %#x", p.name, p.flags)
	}
	return c.leaf(p, nil, nil, false)
}

// free checks the list of free pages: bolt would write to them.
func (c *checker) free() error {
	p, err := c.read(c.freelist)
	if err != nil {
		return err
	}
	if p.flags != flagFreelist {
		return fmt.Errorf("%s: flags %#x, wanted free pages", p.name, p.flags)
	}
	order := binary.NativeEndian
	ids, n := p.data[pageHeader:], uint64(p.count)
	if n == 0xffff { // then the count is the first number
		n, ids = order.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids))/8 {
		return fmt.Errorf("%s: %d free pages do not fit", p.name, n)
	}
	for i := range n {
		id := order.Uint64(ids[8*i:])
		if id >= c.pages || c.taken[id] {
			return fmt.Errorf("%s: page %d is not free", p.name, id)
		}
		c.taken[id] = true
	}
	return nil
}

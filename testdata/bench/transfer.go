package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// chunk is how much clients and sink read or write at once.
const chunk = 256 << 10

// transferTime bounds one transfer trial.
const transferTime = 2 * time.Minute

func bulk(p plan) int64 { return p.Bulk }
func part(p plan) int64 { return p.Part }

// download is a trial: n visitors fetch a file at once.
func download(n int, file string) func(context.Context, *field, *route) (figures, error) {
	return func(ctx context.Context, f *field, r *route) (figures, error) {
		return transfer(ctx, n, r, func(ctx context.Context) (int64, error) {
			want := f.plan.Bulk
			if file == "part" {
				want = f.plan.Part
			}
			got, err := fetch(ctx, r.web, file)
			if err == nil && got != want {
				err = fmt.Errorf("download of %d bytes brought %d", want, got)
			}
			return got, err
		})
	}
}

// upload is a trial: n visitors send so many bytes at once.
func upload(n int, size func(plan) int64) func(context.Context, *field, *route) (figures, error) {
	return func(ctx context.Context, f *field, r *route) (figures, error) {
		return transfer(ctx, n, r, func(ctx context.Context) (int64, error) {
			return send(ctx, r.sink, size(f.plan))
		})
	}
}

// transfer runs one n times at once and adds up.
func transfer(ctx context.Context, n int, r *route, one func(context.Context) (int64, error)) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, transferTime)
	defer cancel()
	start := time.Now()
	var sum int64
	spent, err := account(r, func() error {
		sizes, errs := make([]int64, n), make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { sizes[i], errs[i] = one(ctx) })
		}
		wg.Wait()
		for _, size := range sizes {
			sum += size
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return nil, err
	}
	return figures{
		"mbps": float64(sum) / 1e6 / time.Since(start).Seconds(),
		"cpu":  spent.cpu.Seconds() / (float64(sum) / 1e9),
	}, nil
}

// fetch reads a file to its end and returns its length.
func fetch(ctx context.Context, to endpoint, file string) (int64, error) {
	return fetchBy(ctx, to, file, discard)
}

// fetchBy asks for a file and returns what read returns for its content.
func fetchBy(ctx context.Context, to endpoint, file string, read func(io.Reader) (int64, error)) (int64, error) {
	conn, done, err := dial(ctx, to)
	if err != nil {
		return 0, err
	}
	defer done()
	if _, err := fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n", file, to.host); err != nil {
		return 0, fmt.Errorf("send request: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, chunk), nil)
	if err != nil {
		return 0, fmt.Errorf("read response: %w", err)
	}
	// Closing the body would read the rest of it: the connection is closed.
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET /%s: %s", file, resp.Status)
	}
	return read(resp.Body)
}

// send uploads size zero bytes and returns how many the sink says it got.
func send(ctx context.Context, to endpoint, size int64) (int64, error) {
	conn, done, err := dial(ctx, to)
	if err != nil {
		return 0, err
	}
	defer done()
	if _, err := fmt.Fprintf(conn, "POST /up HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", to.host, size); err != nil {
		return 0, fmt.Errorf("send request: %w", err)
	}
	zeros := make([]byte, chunk)
	for left := size; left > 0; left -= chunk {
		if _, err := conn.Write(zeros[:min(left, chunk)]); err != nil {
			return 0, fmt.Errorf("send body: %w", err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, fmt.Errorf("read response: %w", err)
	}
	defer resp.Body.Close()
	var got int64
	if _, err := fmt.Fscan(resp.Body, &got); err != nil || got != size {
		return got, fmt.Errorf("upload of %d bytes: %s, %d arrived (%v)", size, resp.Status, got, err)
	}
	return got, nil
}

// sinkHandler is the sink: uploads to /up, of which it adds up the bytes in
// taken, bulk bytes of zeros at /big, and the payload elsewhere.
func sinkHandler(bulk int64, taken *atomic.Int64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) {
		n, err := discard(counted{r.Body, taken})
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintln(w, n)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(bulk, 10))
		zeros := make([]byte, chunk)
		for left := bulk; left > 0; left -= chunk {
			if _, err := w.Write(zeros[:min(left, chunk)]); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, payload) })
	return mux
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// dial connects to an endpoint; done closes the connection, as the end of
// ctx does.
func dial(ctx context.Context, to endpoint) (conn net.Conn, done func(), err error) {
	var d net.Dialer
	conn, err = d.DialContext(ctx, "tcp", to.addr)
	if err != nil {
		return nil, nil, fmt.Errorf("dial: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() { stop(); conn.Close() }, nil
}

// discard reads r to its end in large steps.
func discard(r io.Reader) (int64, error) {
	// The wrapping hides io.Discard's ReadFrom, whose buffer is small.
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, chunk))
}

// check makes sure that the route leads to the target before anything is
// measured.
func (r *route) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	got, err := fetch(ctx, r.web, "")
	if err != nil {
		return err
	}
	if got != int64(len(payload)) {
		return fmt.Errorf("GET / brought %d bytes instead of %d", got, len(payload))
	}
	_, err = send(ctx, r.sink, 1<<20)
	return err
}

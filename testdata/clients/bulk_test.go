package clients

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
)

// TestBulk moves 1 GiB each way and compares digests.
func TestBulk(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	direct := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			sum, err := sha(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, sum)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		if _, err := io.Copy(w, noise(size)); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	through := tunnel(t, direct.http)
	want, err := sha(noise(size))
	if err != nil {
		t.Fatal(err)
	}
	client := through.client(t, false)

	t.Run("download", func(t *testing.T) {
		resp, err := client.Get(through.url(false))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := sha(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
	})
	t.Run("upload", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, through.url(false), noise(size))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s %q, want %s", resp.Status, got, want)
		}
	})
}

// noise is size bytes that no part of which looks like another.
func noise(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
}

func sha(r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.CopyBuffer(h, r, make([]byte, 256<<10))
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// crashVariable holds the path of the store to which a child process of
	// this test writes until it is killed.
	crashVariable = "STORE_CRASH"

	// crashes is how many children are killed; STORE_CRASHES says otherwise.
	crashes = 30

	// crashWindow is how many of the latest numbers a child keeps an entry
	// for.
	crashWindow = 10
)

// TestCrash kills a process that writes, at random moments, and opens what it
// left: all that was acknowledged is there, and of the commit under way all or
// nothing. Each fifth round is killed while it makes a new store.
func TestCrash(t *testing.T) {
	rounds := crashes
	if s := os.Getenv("STORE_CRASHES"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "relay.db")
	last, commits, fresh := int64(0), int64(0), 0
	for round := range rounds {
		if round%5 == 4 {
			path := filepath.Join(t.TempDir(), "relay.db")
			acknowledged := crash(t, path, false)
			if acknowledged == 0 {
				fresh++
			}
			checkCrashed(t, path, acknowledged)
			continue
		}
		acknowledged := max(last, crash(t, path, true))
		commits += acknowledged - last
		last = checkCrashed(t, path, acknowledged)
	}
	t.Logf("%d processes were killed after %d acknowledged commits; %d of %d new stores before their first", rounds, commits, fresh, rounds/5)
	if commits == 0 {
		t.Error("no commit was acknowledged")
	}
}

// crash runs a child that writes to path and kills it: at some moment once it
// writes, or already while it opens. It returns the last number that was
// acknowledged.
func crash(t *testing.T, path string, writing bool) (acknowledged int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+path)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	from, within := int64(0), 30*time.Millisecond // the child says 0 before it opens the store
	if writing {
		from, within = 1, 50*time.Millisecond
	}
	var timer *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acknowledged, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
			t.Errorf("the child says %q", lines.Text())
		}
		if timer == nil && acknowledged >= from {
			timer = time.AfterFunc(time.Duration(rand.Int64N(int64(within))), func() { cmd.Process.Kill() })
			defer timer.Stop()
		}
	}
	err = cmd.Wait()
	if ctx.Err() != nil || err == nil || complaint.Len() > 0 {
		t.Fatalf("the child ended by itself: %v, %v, %s", ctx.Err(), err, complaint.String())
	}
	return acknowledged
}

// checkCrashed opens the store that a killed child left and returns the number
// it is at.
func checkCrashed(t *testing.T, path string, acknowledged int64) int64 {
	t.Helper()
	b := reopen(t, path)
	defer shut(t, b)
	got := all(t, b)
	if len(got) == 0 && acknowledged == 0 {
		return 0
	}
	number, err := strconv.ParseInt(got["number"], 10, 64)
	if err != nil || number < acknowledged || number > acknowledged+1 {
		t.Fatalf("it is at %q, and %d was acknowledged", got["number"], acknowledged)
	}
	want := map[string]string{"number": fmt.Sprint(number), "same": fmt.Sprint(number)}
	for n := max(1, number-crashWindow+1); n <= number; n++ {
		want[fmt.Sprintf("entry/%d", n)] = entryOf(n)
	}
	for key, value := range want {
		if got[key] != value {
			t.Fatalf("at %d, %s is %.40q, want %.40q", number, key, got[key], value)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("at %d there are %d entries, want %d", number, len(got), len(want))
	}
	if revision, err := b.revision(t.Context()); err != nil || revision != number {
		t.Fatalf("at %d the revision is %d, %v", number, revision, err)
	}
	return number
}

// entryOf is the value that a number has: of a byte to some pages.
func entryOf(n int64) string {
	return strings.Repeat(fmt.Sprint(n, " "), 1+int(n*7919%2000))
}

// writeUntilKilled is the child: it commits one number after another, and says
// so. Its exit code is that of a failure.
func writeUntilKilled(path string) int {
	fmt.Println(0)
	b, err := OpenBolt(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	for {
		number := int64(0)
		e, err := b.Get(ctx, "number")
		if err == nil {
			number, err = strconv.ParseInt(string(e.Value), 10, 64)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		number++
		text := fmt.Append(nil, number)
		revision, err := b.Commit(ctx, []Check{{"number", e.Revision}}, []Write{
			{Key: "number", Value: text},
			{Key: fmt.Sprintf("entry/%d", number), Value: []byte(entryOf(number))},
			{Key: fmt.Sprintf("entry/%d", number-crashWindow), Delete: true},
			{Key: "same", Value: text},
		})
		if err == nil && revision != number {
			err = fmt.Errorf("number %d has revision %d", number, revision)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(number)
	}
}

package child

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// atTerminal is the variable that has this program run a line at a terminal, where
// that is tested.
const atTerminal = "CHILD_AT_TERMINAL"

func TestMain(m *testing.M) {
	if line := os.Getenv(atTerminal); line != "" {
		runAtTerminal(line)
		return
	}
	goleak.VerifyTestMain(m)
}

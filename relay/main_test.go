package relay

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets what pebble never ends go on.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

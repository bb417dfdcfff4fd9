package main

import "os"

// signals are those that scripts send.
var signals = map[string]os.Signal{"KILL": os.Kill}

package terminal

import "os"

// continued gets nothing: a process is not stopped here.
func continued() (_ <-chan os.Signal, stop func()) { return nil, func() {} }

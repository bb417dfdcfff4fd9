package terminal

import "os"

// Nothing stops a process and has it go on.
func continued() (_ <-chan os.Signal, stop func()) { return nil, func() {} }

func suspend(<-chan os.Signal) {}

func foreground(*os.File) bool { return true }

func keepInterrupt(*os.File) {}

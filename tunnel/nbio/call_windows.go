package nbio

import "errors"

// canTry is false: Windows reads into buffers that wait, it does not poll.
const canTry = false

func read(uintptr, []byte) (int, error)              { return 0, errors.ErrUnsupported }
func write(uintptr, []byte) (int, error)             { return 0, errors.ErrUnsupported }
func writeBoth(uintptr, []byte, []byte) (int, error) { return 0, errors.ErrUnsupported }

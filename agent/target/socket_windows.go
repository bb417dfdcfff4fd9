package target

import "errors"

// canTry is false: Windows reads into buffers that wait, it does not poll.
const canTry = false

func tryRead(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// over cannot tell without reading.
func (s *socket) over() bool { return false }

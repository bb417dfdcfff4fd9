package target

// over cannot tell without reading.
func (s *socket) over() bool { return false }

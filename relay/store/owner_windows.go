package store

// giveAway does nothing: what a file's folder grants is the file's too.
func giveAway(string) error { return nil }

module share/testdata/action

go 1.26.0

replace share => ../..

require (
	github.com/goccy/go-yaml v1.19.2
	go.uber.org/goleak v1.3.0
	share v0.0.0-00010101000000-000000000000
)

require (
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

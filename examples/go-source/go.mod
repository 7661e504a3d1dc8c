module example.com/flowctl/transfer-source

go 1.23

require (
	github.com/spf13/pflag v1.0.5
	golang.org/x/time v0.8.0
)

// Command transfer-source emits simulated token transfers, one JSON object a line.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"example.com/flowctl/transfer-source/internal/settings"
	"example.com/flowctl/transfer-source/internal/simulate"
	"example.com/flowctl/transfer-source/internal/stream"
)

//go:embed metadata.json
var metadata []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run is the whole program; its result is the exit code: 0 done or stopped by a signal, 1 cannot write, 2 bad settings.
func run(ctx context.Context, args []string, lookup settings.Lookup, stdout, stderr io.Writer) int {
	s, err := settings.Read(args, lookup, stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "transfer-source:", err)
		return 2
	}
	if s.DescribeJSON {
		if _, err := stdout.Write(metadata); err != nil {
			return 1
		}
		return 0
	}

	network := simulate.New(s.Seed, s.Assets, s.TransfersPerLedger)
	sent, err := stream.Run(ctx, network, stdout, stream.Options{
		First: s.StartLedger,
		Count: s.Ledgers,
		Rate:  s.Rate,
	})
	if err != nil {
		fmt.Fprintln(stderr, "transfer-source:", err)
		return 1
	}
	fmt.Fprintf(stderr, "transfer-source: %d transfers in %d ledgers\n", sent.Transfers, sent.Ledgers)
	return 0
}
